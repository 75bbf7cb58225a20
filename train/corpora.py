"""The corpora: who says what in which emotion.

Each is a folder with a `metadata.csv` of the columns file, speaker, gender, emotion, language (and others,
ignored here), as `../shared/data` holds them.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_core.emotions import LABELS, canonical

CORPORA = ("ravdess", "emovo", "nemo", "tess")
COLUMNS = ("file", "speaker", "gender", "emotion", "language")


class CorpusError(Exception):
    """A corpus that cannot be trained on; the message names the file and what to do."""


@dataclass(frozen=True)
class Clip:
    """One labelled recording."""

    corpus: str
    path: Path
    speaker: str  # unique over corpora: `ravdess/05`
    gender: str
    emotion: str  # a name in `emotions.LABELS`
    language: str


def read(data: Path, corpora: Sequence[str] = CORPORA) -> list[Clip]:
    """All clips of `corpora` under the folder `data`, in the order of their tables."""
    return [clip for corpus in corpora for clip in read_corpus(data / corpus)]


def read_corpus(folder: Path) -> list[Clip]:
    """The clips that `folder/metadata.csv` lists.

    Raises CorpusError for a missing table, column or file, and for a label that is no emotion.
    """
    table = folder / "metadata.csv"
    if not table.is_file():
        raise CorpusError(f"{table} is missing: --data must name the folder that holds {folder.name}/")
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        absent = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if absent:
            raise CorpusError(f"{table} lacks the column {', '.join(absent)}")
        clips = []
        for row in reader:
            path = folder / row["file"]
            if not path.is_file():
                raise CorpusError(f"{table}, line {reader.line_num}: {path} does not exist")
            try:
                emotion = canonical(row["emotion"])
            except ValueError as error:
                raise CorpusError(f"{table}, line {reader.line_num}: {error}") from None
            speaker = f"{folder.name}/{row['speaker']}"
            clips.append(Clip(folder.name, path, speaker, row["gender"], emotion, row["language"]))
    if not clips:
        raise CorpusError(f"{table} lists no clips")
    return clips


def classes_of(clips: Iterable[Clip]) -> dict[str, tuple[str, ...]]:
    """The emotions each corpus has, in the order of LABELS."""
    found: dict[str, set[str]] = {}
    for clip in clips:
        found.setdefault(clip.corpus, set()).add(clip.emotion)
    return {corpus: tuple(label for label in LABELS if label in names) for corpus, names in found.items()}
