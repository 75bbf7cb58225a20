"""Corrections that a person makes in the page: the corrected analysis, and a table for `python -m train`.

The page sends its segments as `{"start", "end", "label", "of", "checked"}`: times in s; `of`, the indices
(from 0) of the model's segments that it was made from; `checked`, whether a person has reviewed it.
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

# As train/corpora/table.py reads them.
COLUMNS = ("file", "speaker", "gender", "emotion", "language", "start", "end")
SUFFIX = ".wav"  # of a recording made in the page, which has no file name


class CorrectionError(CodedError):
    """A correction, or a request for a file or an explanation, that cannot be used."""


@dataclass(frozen=True)
class Correction:
    """A segment as the page shows it."""

    segment: Segment
    checked: bool  # a person has reviewed it


def parse(analysis: Analysis, entries: Any, threshold: float) -> list[Correction]:
    """The segments `entries` that a page sent, validated, in order of time.

    The sender is not trusted. Probabilities are the model's: those of the segments it was made from, weighted
    by duration. The confidence is the probability of the label. Raises CorrectionError (`bad_correction`).
    """
    try:
        corrections = [_correction(analysis, entry, threshold) for entry in entries]
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise CorrectionError("bad_correction", f"These corrections make no sense: {error}.") from None
    return sorted(corrections, key=lambda correction: correction.segment.start)


def apply(analysis: Analysis, corrections: Sequence[Correction], threshold: float) -> Analysis:
    """`analysis` with the corrected segments, and a summary of them."""
    segments = tuple(correction.segment for correction in corrections)
    return replace(analysis, segments=segments, summary=summarise(segments, threshold))


def sound_name(source: str) -> str:
    """The file name of the recording `source`, with an extension.

    >>> sound_name("a.flac"), sound_name("Your recording")
    ('a.flac', 'Your recording.wav')
    """
    return source if Path(source).suffix else source + SUFFIX


def dumps(source: str, corrections: Sequence[Correction]) -> str:
    """CSV with one row for each reviewed segment that has an emotion.

    Beside the recording it is a corpus for training; the speaker's name has to be filled in.
    """
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS, restval="")
    rows.writeheader()
    rows.writerows(_rows(source, corrections))
    return text.getvalue()


def _rows(source: str, corrections: Sequence[Correction]) -> Iterator[Mapping[str, str]]:
    for correction in corrections:
        if correction.checked and correction.segment.label != UNKNOWN:
            yield {
                "file": f"./{utf8(sound_name(source))}",  # spreadsheets must not read it as a formula
                "emotion": correction.segment.label,
                "start": f"{correction.segment.start:.{TIME_DIGITS}f}",
                "end": f"{correction.segment.end:.{TIME_DIGITS}f}",
            }


def _correction(analysis: Analysis, entry: Mapping[str, Any], threshold: float) -> Correction:
    start, end, label = float(entry["start"]), float(entry["end"]), entry["label"]
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end <= analysis.duration + 1e-3):
        raise ValueError(f"{start} to {end} s is no stretch of the recording")
    if label not in (*LABELS, UNKNOWN):
        raise ValueError("there is no such emotion")
    numbers = [int(number) for number in entry["of"]]
    if not numbers or min(numbers) < 0:
        raise ValueError("a segment is made of others")
    parts = [analysis.segments[number] for number in numbers]
    mean = summarise(parts, threshold).probabilities
    segment = make_segment(start, end, mean, threshold)
    if label != segment.label:
        segment = replace(segment, label=label, confidence=mean.get(label, segment.confidence))
    return Correction(segment, bool(entry["checked"]))
