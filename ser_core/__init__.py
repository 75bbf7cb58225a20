"""Speech emotion recognition: the public names, each imported when it is first used.

>>> import ser_core
>>> ser_core.LABELS[0]
'neutral'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser_core.analysis import Analysis, Segment, Verdict
    from ser_core.audio import SAMPLE_RATE, AudioError, DecodeLimits, Waveform, decode
    from ser_core.bundle import Bundle, BundleError
    from ser_core.emotions import LABELS
    from ser_core.live import LiveSession
    from ser_core.live_engine import LiveEngine, LiveError
    from ser_core.quality import Quality
    from ser_core.recognizer import Recognizer

__version__ = "0.1.0"  # also in pyproject.toml and CITATION.cff

__all__ = [
    "LABELS",
    "SAMPLE_RATE",
    "Analysis",
    "AudioError",
    "Bundle",
    "BundleError",
    "DecodeLimits",
    "LiveEngine",
    "LiveError",
    "LiveSession",
    "Quality",
    "Recognizer",
    "Segment",
    "Verdict",
    "Waveform",
    "decode",
]

_HOMES = {
    "analysis": ("Analysis", "Segment", "Verdict"),
    "audio": ("SAMPLE_RATE", "AudioError", "DecodeLimits", "Waveform", "decode"),
    "bundle": ("Bundle", "BundleError"),
    "emotions": ("LABELS",),
    "live": ("LiveSession",),
    "live_engine": ("LiveEngine", "LiveError"),
    "quality": ("Quality",),
    "recognizer": ("Recognizer",),
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and `doctor --repair` must run before torchaudio can be.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"ser_core.{module}"), name)
    raise AttributeError(f"module 'ser_core' has no attribute {name!r}")
