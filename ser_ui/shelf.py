"""The models of a server: its own, and the other shipped ones, each loaded when it is first asked for."""

from collections import OrderedDict
from threading import Lock

from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_core.recognition.recognizer import Recognizer

WEIGHT_BYTES = 4  # float32
KEPT_BYTES = 500_000_000  # of the weights of models beside the server's own


class Shelf:
    """Who asks for a model gets it; of the others those that were used last are kept, up to `kept_bytes`."""

    def __init__(self, recognizer: Recognizer, kept_bytes: int = KEPT_BYTES) -> None:
        self.own = recognizer
        self._kept_bytes = kept_bytes
        self._others: OrderedDict[str, Recognizer] = OrderedDict()  # the one used last at the end
        self._loading = Lock()

    def models(self) -> list[Bundle]:
        """The shipped ones, before them the server's own where it is none of these. Raises BundleError."""
        found = bundle.shipped()
        if self.own.bundle.path not in [shipped.path for shipped in found]:
            found.insert(0, self.own.bundle)
        return found

    def get(self, name: str) -> Recognizer:
        """The model called `name`, the server's own where that is empty. Raises BundleError.

        A name only, never a folder: whoever asks may be a stranger.
        """
        if name in ("", self.own.bundle.name):
            return self.own
        with self._loading:
            found = self._others.pop(name, None) or self._load(name)
            self._others[name] = found
            while len(self._others) > 1 and self._held_bytes() > self._kept_bytes:
                self._others.popitem(last=False)
            return found

    def _load(self, name: str) -> Recognizer:
        folders = {model.name: model.path for model in self.models()}
        if name not in folders:
            raise BundleError("unknown_model", f"no model is called {name!r}; there are {', '.join(folders)}")
        return Recognizer.load(folders[name], str(self.own.device), read=self.own.read)

    def _held_bytes(self) -> int:
        return sum(WEIGHT_BYTES * model.bundle.parameters for model in self._others.values())
