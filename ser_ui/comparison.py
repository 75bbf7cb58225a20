"""What several models say of the same stretches of speech: where they agree, and a table of it all.

Every model hears the spans of the one segmenter, so that their segments lie on each other.
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
UNSURE = "unsure"  # nobody contradicts, but not every model is sure
DIFFERENT = "different"  # two of them name different emotions
COLUMNS = ("source", "start", "end", "agreement", "most_say")


@dataclass(frozen=True)
class Agreement:
    """How the labels of several models for one stretch go together."""

    kind: str  # SAME, UNSURE or DIFFERENT
    most_say: str  # the emotion named most often; empty where none is


def agreement(labels: Sequence[str]) -> Agreement:
    """How `labels`, one a model, go together.

    >>> agreement(["sad", "sad", "unknown"])
    Agreement(kind='unsure', most_say='sad')
    >>> agreement(["sad", "angry"])
    Agreement(kind='different', most_say='')
    """
    named = Counter(label for label in labels if label != UNKNOWN).most_common()
    leads = named and (len(named) == 1 or named[0][1] > named[1][1])
    most_say = named[0][0] if leads else ""
    if len(named) > 1:
        return Agreement(DIFFERENT, most_say)
    return Agreement(UNSURE if UNKNOWN in labels else SAME, most_say)


def agreements(analyses: Sequence[Analysis]) -> list[Agreement]:
    """How the models agree on each segment of a recording; `analyses` are of it, one a model."""
    stretches = zip(*(analysis.segments for analysis in analyses), strict=True)
    return [agreement([segment.label for segment in answers]) for answers in stretches]


def dumps(analyses: Sequence[Analysis]) -> str:
    """CSV with a row a segment: how far the models agree, and the label and confidence of each.

    Times in s; lines end in CRLF.
    """
    names = [inert(utf8(analysis.model_name)) for analysis in analyses]
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow([*COLUMNS, *(f"{name} {part}" for name in names for part in ("label", "confidence"))])
    stretches = zip(*(analysis.segments for analysis in analyses), strict=True)
    for answers, found in zip(stretches, agreements(analyses), strict=True):
        times = (f"{seconds:.{TIME_DIGITS}f}" for seconds in (answers[0].start, answers[0].end))
        each = ((answer.label, f"{answer.confidence:.{PROBABILITY_DIGITS}f}") for answer in answers)
        source = inert(utf8(analyses[0].source))
        rows.writerow([source, *times, found.kind, found.most_say, *(cell for pair in each for cell in pair)])
    return text.getvalue()


# Each entry of the JSON is one model's whole analysis.
FORMATS: Mapping[str, Callable[[Sequence[Analysis]], str]] = {"csv": dumps, "json": WRITERS["json"]}
