"""Compares the results of several models on one recording: where they agree, and a table of all results.

All models get the spans of the same segmenter, so their segments have the same times.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ser_core.analysis import Analysis
from ser_core.emotions import UNKNOWN
from ser_core.export import WRITERS
from ser_core.export.csv import inert
from ser_core.export.text import PROBABILITY_DIGITS, TIME_DIGITS, utf8

SAME = "same"  # all name one emotion
UNSURE = "unsure"  # no two emotions are named, but not every model is sure
DIFFERENT = "different"  # two of them name different emotions
COLUMNS = ("source", "start", "end", "agreement", "most_say")


@dataclass(frozen=True)
class Agreement:
    """How far the labels of several models for one segment agree."""

    kind: str  # SAME, UNSURE or DIFFERENT
    most_say: str  # the emotion named most often; empty where none is


def agreement(labels: Sequence[str]) -> Agreement:
    """How far `labels`, one per model, agree.

    >>> agreement(["sad", "sad", "unknown"])
    Agreement(kind='unsure', most_say='sad')
    >>> agreement(["sad", "angry"])
    Agreement(kind='different', most_say='')
    """
    counts = Counter(label for label in labels if label != UNKNOWN).most_common()
    has_majority = counts and (len(counts) == 1 or counts[0][1] > counts[1][1])
    most_say = counts[0][0] if has_majority else ""
    if len(counts) > 1:
        return Agreement(DIFFERENT, most_say)
    return Agreement(UNSURE if UNKNOWN in labels else SAME, most_say)


def agreements(analyses: Sequence[Analysis]) -> list[Agreement]:
    """How far the models agree on each segment of a recording, of which each model gives one analysis.

    Raises ValueError where the analyses have different numbers of segments.
    """
    segments_by_time = zip(*(analysis.segments for analysis in analyses), strict=True)
    return [agreement([segment.label for segment in segments]) for segments in segments_by_time]


def dumps(analyses: Sequence[Analysis]) -> str:
    """CSV with one row per segment: how far the models agree, and the label and confidence of each.

    Times in s; lines end in CRLF.
    """
    names = [inert(utf8(analysis.model_name)) for analysis in analyses]
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow([*COLUMNS, *(f"{name} {part}" for name in names for part in ("label", "confidence"))])
    segments_by_time = zip(*(analysis.segments for analysis in analyses), strict=True)
    for segments, agreed in zip(segments_by_time, agreements(analyses), strict=True):
        times = (f"{seconds:.{TIME_DIGITS}f}" for seconds in (segments[0].start, segments[0].end))
        pairs = ((segment.label, f"{segment.confidence:.{PROBABILITY_DIGITS}f}") for segment in segments)
        source = inert(utf8(analyses[0].source))
        cells = [cell for pair in pairs for cell in pair]
        rows.writerow([source, *times, agreed.kind, agreed.most_say, *cells])
    return text.getvalue()


# The JSON is a list of analyses, one per model.
FORMATS: Mapping[str, Callable[[Sequence[Analysis]], str]] = {"csv": dumps, "json": WRITERS["json"]}
