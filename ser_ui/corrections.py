"""Corrections that a person makes in the page: the corrected analysis, and a table for `python -m train`.

The page sends its segments as `{"start", "end", "label", "of", "checked", "voice"}`: times in s; `of`, the
indices (from 0) of the model's segments that it was made from; `checked`, whether a person has reviewed it;
`voice`, what a person calls who speaks, null where voices were not told apart.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_core.analysis import UNSURE_VOICE, Analysis, Segment, make_segment, summarise, voices_of
from ser_core.emotions import LABELS, UNKNOWN
from ser_core.errors import CodedError
from ser_core.export.csv import inert
from ser_core.export.text import TIME_DIGITS, printable, utf8

# As train/corpora/table.py reads them.
COLUMNS = ("file", "speaker", "gender", "emotion", "language", "start", "end")
MAX_NAME = 40  # characters of a voice's name
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
    """`analysis` with the corrected segments, and a summary of them and of each voice."""
    segments = tuple(correction.segment for correction in corrections)
    summary, voices = summarise(segments, threshold), voices_of(segments, threshold)
    return replace(analysis, segments=segments, summary=summary, voices=voices)


def sound_name(source: str) -> str:
    """The file name of the recording `source`, with an extension.

    >>> sound_name("a.flac"), sound_name("Your recording")
    ('a.flac', 'Your recording.wav')
    """
    return source if Path(source).suffix else source + SUFFIX


def dumps(source: str, corrections: Sequence[Correction]) -> str:
    """CSV with one row for each reviewed segment that has an emotion.

    Beside the recording it is a corpus for training. The speaker is the voice; where voices were not told
    apart, or it is unsure, it has to be filled in.
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
                "speaker": _speaker(correction.segment),
                "emotion": correction.segment.label,
                "start": f"{correction.segment.start:.{TIME_DIGITS}f}",
                "end": f"{correction.segment.end:.{TIME_DIGITS}f}",
            }


def _speaker(segment: Segment) -> str:
    """The voice of `segment` as a cell; empty where nobody knows whose it is."""
    return "" if segment.voice in (None, UNSURE_VOICE) else inert(str(segment.voice))


def _voice(name: Any) -> str | None:
    """The name of a voice that a page sent, on one line; ValueError where it is none."""
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or name != printable(name):
        raise ValueError("there is no such name of a voice")
    return name


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
    overlap = any(part.overlap for part in parts)
    segment = replace(segment, voice=_voice(entry.get("voice")), channel=parts[0].channel, overlap=overlap)
    return Correction(segment, bool(entry["checked"]))
