"""One labelled recording, and the error of a corpus that cannot be trained on."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ser_core.emotions import LABELS

UNKNOWN_SPEAKER = "unknown"  # all such clips of a corpus count as one voice, so that no split divides them


class CorpusError(Exception):
    """A corpus that cannot be trained on; the message names the file and what to do."""


@dataclass(frozen=True)
class Clip:
    """One labelled recording."""

    corpus: str
    path: Path
    speaker: str  # unique over corpora: `ravdess/05`
    gender: str  # female, male, or empty where it is not known
    emotion: str  # a name in `emotions.LABELS`
    language: str  # ISO 639 code, or empty where it is not known


def classes_of(clips: Iterable[Clip]) -> dict[str, tuple[str, ...]]:
    """The emotions each corpus has, in the order of LABELS."""
    found: dict[str, set[str]] = {}
    for clip in clips:
        found.setdefault(clip.corpus, set()).add(clip.emotion)
    return {corpus: tuple(label for label in LABELS if label in names) for corpus, names in found.items()}
