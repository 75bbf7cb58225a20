"""Reads corpora that a CSV describes, with a row for each clip."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ser_core.emotions import canonical
from train.corpora.clip import UNKNOWN_SPEAKER, Clip, CorpusError
from train.corpora.usable import listed

COLUMNS = ("file", "speaker", "emotion")  # required; gender, language, start and end are optional
SEPARATORS = ",;\t"
BLANK = SEPARATORS + " \r\n"  # characters of rows without content


def read_table(table: Path, corpus: str) -> list[Clip]:
    """The clips that the CSV `table` lists; paths in it are relative to its folder.

    A row with `start` and `end` in seconds is that segment of its file.
    Raises CorpusError for a missing column or file, an unknown emotion, and an invalid start or end.
    """
    clips, problems = [], []
    for line, row in rows_of(table, COLUMNS):
        try:
            clips.append(_clip(table, line, row, corpus))
        except CorpusError as error:
            problems.append(str(error))
    if problems:
        raise CorpusError(listed(problems))
    if not clips:
        raise CorpusError(f"{table} lists no clips: add a row for each recording")
    return clips


def rows_of(table: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells by column of each row of the CSV `table` that is not empty.

    Columns are separated by commas, semicolons or tabs; their names may be capitalised.
    Raises CorpusError where one of `columns` is missing and for a file that is no CSV in UTF-8.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
            text = file.read()
        heading = text.strip(BLANK).splitlines()[:1]

        def found(separator: str) -> int:
            cells = next(csv.reader(heading, delimiter=separator), [])
            return len(set(_names(cells)) & set(columns))

        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=found))
        filled = [(reader.line_num, row) for row in reader if any(cell.strip(BLANK) for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{table} is no CSV in UTF-8 ({error}): export it again") from None
    names = _names(filled[0][1]) if filled else []
    absent = [column for column in columns if column not in names]
    if absent:
        raise CorpusError(
            f"{table} lacks the column {', '.join(absent)}: its first line must name the columns "
            f"{', '.join(columns)}, separated by commas, semicolons or tabs"
        )
    empty = dict.fromkeys(names, "")  # for rows that are too short
    return [(line, empty | dict(zip(names, map(str.strip, row), strict=False))) for line, row in filled[1:]]


def _names(heading: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in heading]


def _clip(table: Path, line: int, row: dict[str, str], corpus: str) -> Clip:
    def cell(column: str) -> str:
        return row.get(column, "")

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
        start, end = (float(cell(edge).replace(",", ".")) for edge in ("start", "end"))  # 1,5 in German
    except ValueError:
        start = end = math.nan
    if not 0 <= start < end < math.inf:
        raise CorpusError(
            f"{table}, line {line}: start {cell('start')!r} and end {cell('end')!r} are no stretch in "
            "seconds: correct them, or leave both empty for the whole file"
        )
    return replace(clip, stretch_s=(start, end))
