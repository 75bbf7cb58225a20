"""WebVTT: one cue per segment, with its voice, emotion and confidence. https://www.w3.org/TR/webvtt1/"""

from collections.abc import Sequence
from html import escape

from ser_core.analysis import Analysis, Segment
from ser_core.export.text import one_line, printable
from ser_core.export.tier import MS, intervals, single_analysis


def dumps(analyses: Sequence[Analysis]) -> str:
    """One analysis as subtitles; ValueError for another number of analyses.

    The first note holds the recording's name as a JSON string, which keeps it on one line without `-->`.
    """
    analysis = single_analysis(analyses)
    blocks = [
        f"{_clock(item.start_ms)} --> {_clock(item.end_ms)}\n"
        f"{_voice_tag(analysis, item.segment)}{item.segment.label} {item.segment.confidence:.0%}\n"
        for item in intervals(analysis)
    ]
    return "\n".join(["WEBVTT\n", f"NOTE source {one_line(analysis.source)}\n", *blocks])


def _voice_tag(analysis: Analysis, segment: Segment) -> str:
    """The start of a voice span, which needs no end where it holds the whole cue; empty without voices."""
    return f"<v {escape(printable(str(segment.voice)), quote=False)}>" if analysis.has_voices else ""


def _clock(ms: int) -> str:
    """`ms` as hours, minutes, seconds.

    >>> _clock(3_723_004)
    '01:02:03.004'
    """
    seconds, ms = divmod(ms, MS)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
