"""Matplotlib figures as inline SVG, described in words for those who do not see them."""

import io
from html import escape

from matplotlib.figure import Figure

from ser_core.analysis import Verdict
from ser_core.pictures import plots

# Ink of a figure -> variable of the style sheet, so that figures change with the page's theme.
VARIABLES = {plots.TEXT: "--figure-text", plots.FAINT: "--figure-faint", plots.WAVE: "--figure-wave"}
RASTER_DPI = 144  # of the spectrogram inside the SVG: two dots a pixel


def inline_svg(figure: Figure, description: str) -> str:
    """`figure` as HTML that fills the width it is given; `description` is what a screen reader says."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=RASTER_DPI)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML and DOCTYPE lines, which HTML does not know
    for ink, variable in VARIABLES.items():
        svg = svg.replace(ink, f"var({variable})")
    return f'<div class="figure" role="img" aria-label="{escape(description)}">{svg}</div>'


def describe_probabilities(found: Verdict) -> str:
    """The probability bars in words."""
    named = ", ".join(f"{name} {share:.0%}" for name, share in found.probabilities.items())
    return f"Probabilities: {named}"
