"""Contrast of two colours (WCAG 2.2)."""

import numpy as np
from matplotlib.colors import to_rgb

READABLE = 4.5  # contrast ratio of normal text, level AA


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two sRGB colours, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
