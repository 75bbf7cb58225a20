"""One labelled recording, and the error of a corpus that cannot be trained on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ser_core.emotions import LABELS

STRETCH = "#t="  # before the times of a stretch, as in URLs (W3C Media Fragments)
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
    data: Path = field(default=Path(), compare=False)  # the folder that holds the corpus
    stretch_s: tuple[float, float] | None = None  # start and end of what is meant; None: all of the file

    @property
    def file(self) -> str:
        """Its path from `data`, with slashes: `ravdess/Actor_05/a.flac`. Tables of runs call it so.

        The whole path of a recording that lies elsewhere. A stretch has its times behind: `a.wav#t=1.5,2.0`.
        """
        inside = self.path.is_relative_to(self.data)
        name = (self.path.relative_to(self.data) if inside else self.path).as_posix()
        return name + (f"{STRETCH}{self.stretch_s[0]},{self.stretch_s[1]}" if self.stretch_s else "")


def classes_of(clips: Iterable[Clip]) -> dict[str, tuple[str, ...]]:
    """The emotions each corpus has, in the order of LABELS."""
    found: dict[str, set[str]] = {}
    for clip in clips:
        found.setdefault(clip.corpus, set()).add(clip.emotion)
    return {corpus: tuple(label for label in LABELS if label in names) for corpus, names in found.items()}
