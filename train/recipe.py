"""Recipes: all settings of a training run, read from a TOML file."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ser_core.models.registry import ARCHITECTURES
from train import corpora
from train.augment import Augmentation, from_table
from train.corpora import CORPORA, Clip


class RecipeError(Exception):
    """An invalid recipe; the message names the file and the key."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Learning rates are peak values; the schedule starts and ends below them.

    Raises RecipeError for a value out of range.
    """

    name: str
    architecture: str
    pretrained: str = ""  # weights: a file, relative to the working folder, or a published name
    options: dict[str, Any] = field(default_factory=dict)  # of the architecture
    corpora: tuple[str, ...] = CORPORA
    left_out_speakers: tuple[str, ...] = ()  # never trained on nor tested: "crema_d/1012"
    most_clips: dict[str, int] = field(default_factory=dict)  # of a corpus; default: all that there are
    share: dict[str, float] = field(default_factory=dict)  # of a corpus's clips per epoch; default 1
    epochs: int = 8
    batch_size: int = 16
    learning_rate: float = 1e-3  # of everything that is not pretrained
    encoder_learning_rate: float = 1e-4  # of the top pretrained layer
    layer_decay: float = 1.0  # factor from each pretrained layer to the one below
    frozen_layers: int = 0  # lowest pretrained layers that are not trained, nor is the stem below them
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    class_weights: float = 0.0  # of rare classes in the loss: 0 (none) to 1 (all classes count the same)
    focal_gamma: float = 0.0  # of the focal loss, 0 (none) to 5; 2 is usual
    ema_decay: float = 0.0  # of the exponential moving average of the weights; 0: no averaging
    probe_decay: float = 0.0  # L2 penalty of a linear probe of the published encoder, averaged in; 0: none
    probe_share: dict[str, float] = field(default_factory=dict)  # weight of a corpus in the probe; default 1
    teacher: str = ""  # session-adaptive architecture whose embeddings a smaller one is trained to predict
    teacher_pretrained: str = ""  # its weights, as in `pretrained`
    teacher_epochs: int = 0  # epochs of distillation, before the heads are fitted
    encoder_epochs: int = 0  # epochs of fine-tuning a session-adaptive encoder, after its heads are fitted
    directions: int = 0  # principal directions of each branch's embedding that the heads read; 0: all
    other_voices: float = 0.0  # share of clips that the lone head hears moved towards another voice, 0 to 1
    members: int = 2  # networks that are averaged into a head
    train_on_validation: bool = False  # where nothing is chosen by the validation part, with `sessions`
    sessions: int = 0  # virtual sessions per speaker, for the heads of a session-adaptive architecture
    schedule: Literal["one_cycle", "plateau"] = "one_cycle"
    patience: int = 0  # epochs without a lower validation loss before training stops; 0: no early stopping
    seed: int = 0
    campplus_pretrained: str = ""  # the weights of a CAM++ branch: a file
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise RecipeError(f"architecture {self.architecture!r} is not one of {', '.join(ARCHITECTURES)}")
        if self.schedule not in ("one_cycle", "plateau"):
            raise RecipeError(f"schedule {self.schedule!r} is neither one_cycle nor plateau")
        for key in ("epochs", "batch_size", "learning_rate", "encoder_learning_rate", "layer_decay"):
            if getattr(self, key) <= 0:
                raise RecipeError(f"{key} must be above 0, is {getattr(self, key)}")
        if self.teacher and self.teacher not in ARCHITECTURES:
            raise RecipeError(f"teacher {self.teacher!r} is not one of {', '.join(ARCHITECTURES)}")
        if self.teacher and not (self.teacher_pretrained and self.teacher_epochs > 0 and self.sessions):
            raise RecipeError("with a teacher, teacher_pretrained, teacher_epochs and sessions must be given")
        if self.encoder_epochs and not self.sessions:
            raise RecipeError("encoder_epochs are of session-adaptive architectures: sessions must be given")
        if self.changes_encoder and "joint" in self.options:
            raise RecipeError(
                "the option joint needs a published encoder: a tuned one makes its training voices too clear"
            )
        for corpus, share in self.share.items():
            if corpus not in self.corpora or not 0 < share <= 1:
                raise RecipeError(
                    f"share of {corpus!r} must be of a corpus of the recipe, above 0 and at most 1"
                )
        for corpus, most_clips in self.most_clips.items():
            if corpus not in self.corpora or not isinstance(most_clips, int) or most_clips < 1:
                raise RecipeError(
                    f"most_clips of {corpus!r} must be of a corpus of the recipe, and at least 1"
                )
        if self.directions < 0 or self.members < 1:
            raise RecipeError("directions must be at least 0, and members at least 1")
        for key, most in (("class_weights", 1), ("focal_gamma", 5), ("other_voices", 1)):
            if not 0 <= getattr(self, key) <= most:
                raise RecipeError(f"{key} must be from 0 to {most}, is {getattr(self, key)}")
        if self.frozen_layers < 0:
            raise RecipeError(f"frozen_layers must be at least 0, is {self.frozen_layers}")
        if not 0 <= self.ema_decay < 1:
            raise RecipeError(f"ema_decay must be at least 0 and below 1, is {self.ema_decay}")

    @property
    def changes_encoder(self) -> bool:
        """Whether training changes the published encoder of a session-adaptive architecture."""
        return bool(self.teacher or self.encoder_epochs)

    def clips(self, data: Path) -> list[Clip]:
        """The clips under the folder `data` that the recipe trains on or tests; raises CorpusError."""
        return corpora.read(data, self.corpora, self.left_out_speakers, self.most_clips)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data, as `recipe.json` stores it."""
        return asdict(self) | {"augmentation": self.augmentation.to_dict()}


def read(path: Path) -> Recipe:
    """The recipe in the TOML file `path`; RecipeError where a key is unknown, missing or out of range."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    unknown = sorted(set(raw) - {f.name for f in fields(Recipe)})
    if unknown:
        raise RecipeError(f"{path}: unknown key {', '.join(unknown)}")
    try:
        raw["augmentation"] = from_table(raw.get("augmentation", {}))
        for key in ("corpora", "left_out_speakers"):
            if key in raw:
                raw[key] = tuple(raw[key])
        return Recipe(**raw)
    except (TypeError, ValueError, RecipeError) as error:
        raise RecipeError(f"{path}: {error}") from None
