"""The models of a server: the one it was started with, and the shipped ones, loaded on first use."""

from collections import OrderedDict
from threading import Lock

from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_core.recognition.recognizer import Recognizer

WEIGHT_BYTES = 4  # float32
MAX_BYTES = 500_000_000  # of weights in the cache; the server's own model is not counted


class ModelCache:
    """Loaded models by name. Safe to use from several threads.

    `own` is the model that the server was started with; it always stays. Of the others, the least recently
    used are dropped when their weights exceed `max_bytes`, but the one just requested is kept.
    """

    def __init__(self, recognizer: Recognizer, max_bytes: int = MAX_BYTES) -> None:
        self.own = recognizer
        self._max_bytes = max_bytes
        self._others: OrderedDict[str, Recognizer] = OrderedDict()  # least recently used first
        self._loading = Lock()

    def models(self) -> list[Bundle]:
        """Descriptions of all models: the shipped ones, preceded by the server's own if it is not shipped.

        Raises BundleError.
        """
        models = bundle.shipped()
        if self.own.bundle.path not in [shipped.path for shipped in models]:
            models.insert(0, self.own.bundle)
        return models

    def get(self, name: str) -> Recognizer:
        """The model called `name`; the server's own model if `name` is empty. Raises BundleError.

        Only a name is accepted, never a folder, because requests come from anybody.
        """
        if name in ("", self.own.bundle.name):
            return self.own
        with self._loading:
            recognizer = self._others.pop(name, None) or self._load(name)
            self._others[name] = recognizer
            while len(self._others) > 1 and self._cached_bytes() > self._max_bytes:
                self._others.popitem(last=False)
            return recognizer

    def _load(self, name: str) -> Recognizer:
        folders = {model.name: model.path for model in self.models()}
        if name not in folders:
            raise BundleError("unknown_model", f"no model is called {name!r}; there are {', '.join(folders)}")
        return Recognizer.load(folders[name], str(self.own.device), read=self.own.read)

    def _cached_bytes(self) -> int:
        return sum(WEIGHT_BYTES * model.bundle.parameters for model in self._others.values())
