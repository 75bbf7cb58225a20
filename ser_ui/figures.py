"""What the page's figures show, in words."""

from ser_core.analysis import Analysis, Segment
from ser_core.svg import describe_probabilities as describe_probabilities
from ser_core.svg import inline_svg as inline_svg
from ser_ui.text import clock


def describe_timeline(analysis: Analysis) -> str:
    """The waveform's segments in words."""
    named = "; ".join(
        f"{index} {segment.label} from {clock(segment.start)} to {clock(segment.end)}"
        for index, segment in enumerate(analysis.segments, start=1)
    )
    return f"Waveform with segments: {named}" if named else "Waveform; no speech found"


def title_of(chosen: int | None, segments: tuple[Segment, ...]) -> str:
    """What the probability bars belong to."""
    if chosen is None:
        return "Whole recording"
    return f"Segment {chosen + 1}, {clock(segments[chosen].start)}–{clock(segments[chosen].end)}"
