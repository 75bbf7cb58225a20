"""What a person corrected in the page: the analysis with it, and a table that `python -m train` reads.

A page tells its segments as `{"start", "end", "label", "of", "checked"}`: times in s, the numbers (from 0) of
the model's segments it was made of, and whether a person has looked at it.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_core.analysis import Analysis, Segment, make_segment, summarise
from ser_core.emotions import LABELS, UNKNOWN
from ser_core.errors import CodedError
from ser_core.export.text import TIME_DIGITS, utf8

COLUMNS = (
    "file",
    "speaker",
    "gender",
    "emotion",
    "language",
    "start",
    "end",
)  # as train/corpora/table.py reads
SUFFIX = ".wav"  # of a recording made in the page, which has no file's name


class CorrectionError(CodedError):
    """Corrections that cannot be used."""


@dataclass(frozen=True)
class Correction:
    """A segment as the page shows it."""

    segment: Segment
    checked: bool  # a person has looked at it


def corrections(analysis: Analysis, told: Any, threshold: float) -> list[Correction]:
    """The segments that a page tells, checked: anyone can send anything.

    Numbers are those of the model: a segment has the mean of the probabilities it was made of, by length.
    Its confidence is what the model gives its label. Raises CorrectionError (`bad_correction`).
    """
    try:
        found = [_correction(analysis, one, threshold) for one in told]
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise CorrectionError("bad_correction", f"These corrections make no sense: {error}.") from None
    return sorted(found, key=lambda one: one.segment.start)


def corrected(analysis: Analysis, found: Sequence[Correction], threshold: float) -> Analysis:
    """`analysis` with the segments as a person left them."""
    segments = tuple(one.segment for one in found)
    return replace(analysis, segments=segments, summary=summarise(segments, threshold))


def sound_name(source: str) -> str:
    """What the recording `source` is called on disk.

    >>> sound_name("a.flac"), sound_name("Your recording")
    ('a.flac', 'Your recording.wav')
    """
    return source if Path(source).suffix else source + SUFFIX


def dumps(source: str, found: Sequence[Correction]) -> str:
    """A CSV of the segments that a person has looked at and that have an emotion, one row each.

    Saved beside the recording it is a corpus; the speaker's name is to be filled in.
    """
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS, restval="")
    rows.writeheader()
    rows.writerows(_rows(source, found))
    return text.getvalue()


def _rows(source: str, found: Sequence[Correction]) -> Iterator[Mapping[str, str]]:
    for one in found:
        if one.checked and one.segment.label != UNKNOWN:
            yield {
                "file": f"./{utf8(sound_name(source))}",  # no spreadsheet takes this for a formula
                "emotion": one.segment.label,
                "start": f"{one.segment.start:.{TIME_DIGITS}f}",
                "end": f"{one.segment.end:.{TIME_DIGITS}f}",
            }


def _correction(analysis: Analysis, told: Mapping[str, Any], threshold: float) -> Correction:
    start, end, label = float(told["start"]), float(told["end"]), told["label"]
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end <= analysis.duration + 1e-3):
        raise ValueError(f"{start} to {end} s is no stretch of the recording")
    if label not in (*LABELS, UNKNOWN):
        raise ValueError("there is no such emotion")
    numbers = [int(number) for number in told["of"]]
    if not numbers or min(numbers) < 0:
        raise ValueError("a segment is made of others")
    parts = [analysis.segments[number] for number in numbers]
    mean = summarise(parts, threshold).probabilities
    segment = make_segment(start, end, mean, threshold)
    if label != segment.label:
        segment = replace(segment, label=label, confidence=mean.get(label, segment.confidence))
    return Correction(segment, bool(told["checked"]))
