"""Reads corpora that a CSV describes, with a row for each clip."""

import csv
import math
from dataclasses import replace
from pathlib import Path

from ser_core.emotions import canonical
from train.corpora.clip import UNKNOWN_SPEAKER, Clip, CorpusError

COLUMNS = ("file", "speaker", "emotion")  # required; gender, language, start and end are optional


def read_table(table: Path, corpus: str) -> list[Clip]:
    """The clips that the CSV `table` lists; paths in it are relative to its folder.

    A row with `start` and `end` in seconds is that segment of its file.
    Raises CorpusError for a missing column or file, an unknown emotion, and an invalid start or end.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
            reader = csv.DictReader(file)
            absent = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if absent:
                raise CorpusError(
                    f"{table} lacks the column {', '.join(absent)}: its first line must name the columns "
                    f"{', '.join(COLUMNS)}"
                )
            clips = [_clip(table, reader.line_num, row, corpus) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{table} is no CSV in UTF-8 ({error}): export it again") from None
    if not clips:
        raise CorpusError(f"{table} lists no clips: add a row for each recording")
    return clips


def _clip(table: Path, line: int, row: dict[str, str | None], corpus: str) -> Clip:
    def cell(column: str) -> str:
        return (row.get(column) or "").strip()

    path = table.parent / cell("file")
    if not path.is_file():
        raise CorpusError(f"{table}, line {line}: {path} does not exist: correct the row or remove it")
    try:
        emotion = canonical(cell("emotion"))
    except ValueError as error:
        raise CorpusError(f"{table}, line {line}: {error}: correct the row or remove it") from None
    speaker = f"{corpus}/{cell('speaker') or UNKNOWN_SPEAKER}"
    clip = Clip(corpus, path, speaker, cell("gender"), emotion, cell("language"))
    if not cell("start") and not cell("end"):
        return clip
    try:
        start, end = float(cell("start")), float(cell("end"))
    except ValueError:
        start = end = math.nan
    if not 0 <= start < end < math.inf:
        raise CorpusError(
            f"{table}, line {line}: start {cell('start')!r} and end {cell('end')!r} are no stretch in "
            "seconds: correct them, or leave both empty for the whole file"
        )
    return replace(clip, stretch_s=(start, end))
