"""RTTM (Rich Transcription Time Marked) for diarisation tools.

Where several voices were told apart, the speaker field holds the voice and the subtype field the emotion;
where not, as there is one speaker or none was asked for, the speaker field holds the emotion.

Format: NIST (2009), "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
"""

from collections.abc import Sequence
from urllib.parse import quote

from ser_core.analysis import Analysis, Segment
from ser_core.export.text import PROBABILITY_DIGITS, TIME_DIGITS, utf8
from ser_core.export.tier import MS, intervals

RESERVED = "%;<>\"'"  # escape, comment, missing value, and characters that table readers take for quotes
# Names that table readers take for a missing value (those of pandas, which pyannote uses).
MISSING = {"", "#N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
MISSING |= {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}


def dumps(analyses: Sequence[Analysis]) -> str:
    """One line per segment; recordings without segments (silent or unreadable) have no line."""
    return "".join(
        f"SPEAKER {_field(analysis.source)} {item.segment.channel or 1} "
        f"{item.start_ms / MS:.{TIME_DIGITS}f} {(item.end_ms - item.start_ms) / MS:.{TIME_DIGITS}f} <NA> "
        f"{_who_and_how(analysis, item.segment)} "
        f"{item.segment.confidence:.{PROBABILITY_DIGITS}f} <NA>\n"
        for analysis in analyses
        for item in intervals(analysis)
    )


def _who_and_how(analysis: Analysis, segment: Segment) -> str:
    """The subtype and the speaker of a segment."""
    if not analysis.has_voices:
        return f"<NA> {segment.label}"
    return f"{segment.label} {_field(str(segment.voice))}"


def _field(source: str) -> str:
    """`source` as one field; characters that would end or hide it are percent-encoded, as in a URL.

    >>> _field("my talk.wav")
    'my%20talk.wav'
    """
    name = utf8(source)
    if name in MISSING:
        return "".join(f"%{byte:02X}" for byte in name.encode()) or "%00"
    return "".join(c if c.isprintable() and not c.isspace() and c not in RESERVED else quote(c) for c in name)
