"""One labelled recording, and the error of a corpus that cannot be trained on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ser_core.emotions import LABELS

STRETCH = "#t="  # separates file and times of a segment, as in URLs (W3C Media Fragments)
UNKNOWN_SPEAKER = "unknown"  # such clips of a corpus count as one speaker: a split keeps them together


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
    stretch_s: tuple[float, float] | None = None  # start and end in seconds; None: the whole file

    @property
    def file(self) -> str:
        """The path relative to `data`, with slashes, as in tables of runs: `ravdess/Actor_05/a.flac`.

        A recording outside `data` has its whole path. A segment of a file ends in its times:
        `a.wav#t=1.5,2.0`.
        """
        inside = self.path.is_relative_to(self.data)
        name = (self.path.relative_to(self.data) if inside else self.path).as_posix()
        return name + (f"{STRETCH}{self.stretch_s[0]},{self.stretch_s[1]}" if self.stretch_s else "")


def classes_of(clips: Iterable[Clip]) -> dict[str, tuple[str, ...]]:
    """The emotions that occur in each corpus, in the order of LABELS."""
    emotions: dict[str, set[str]] = {}
    for clip in clips:
        emotions.setdefault(clip.corpus, set()).add(clip.emotion)
    return {corpus: tuple(label for label in LABELS if label in names) for corpus, names in emotions.items()}
