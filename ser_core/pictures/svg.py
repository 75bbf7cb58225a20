"""Matplotlib figures as inline SVG with a description for screen readers."""

import io
from html import escape

from matplotlib.figure import Figure

from ser_core.analysis import Verdict
from ser_core.pictures import plots

# Colour of a figure -> variable of the style sheet, so that figures follow the page's theme.
VARIABLES = {plots.TEXT: "--figure-text", plots.FAINT: "--figure-faint", plots.WAVE: "--figure-wave"}
RASTER_DPI = 144  # of the spectrogram inside the SVG: two dots a pixel


def inline_svg(figure: Figure, description: str) -> str:
    """`figure` as HTML that fills the available width; `description` is the text for screen readers."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=RASTER_DPI)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML and DOCTYPE lines, which are not valid in HTML
    for ink, variable in VARIABLES.items():
        svg = svg.replace(ink, f"var({variable})")
    return f'<div class="figure" role="img" aria-label="{escape(description)}">{svg}</div>'


def describe_probabilities(verdict: Verdict) -> str:
    """The probability bars as text."""
    entries = ", ".join(f"{name} {share:.0%}" for name, share in verdict.probabilities.items())
    return f"Probabilities: {entries}"
