"""Speech emotion recognition: the public names, each imported when it is first used.

>>> import ser_core
>>> ser_core.LABELS[0]
'neutral'
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# ONNX Runtime, where it is installed, would keep a device's number and send what it measures.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from ser_core.analysis import Analysis, Segment, Verdict, Voice
    from ser_core.audio.decode import DecodeLimits, decode
    from ser_core.audio.quality import Quality
    from ser_core.audio.waveform import SAMPLE_RATE, Waveform
    from ser_core.checkpoint.bundle import Bundle, BundleError
    from ser_core.emotions import LABELS
    from ser_core.errors import AudioError
    from ser_core.recognition.live import LiveSession
    from ser_core.recognition.live_engine import LiveEngine, LiveError
    from ser_core.recognition.recognizer import Recognizer
    from ser_core.recognition.recording import VoiceOptions

__version__ = "0.2.0"  # also in CITATION.cff; pyproject.toml reads it here

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
    "Voice",
    "VoiceOptions",
    "Waveform",
    "decode",
]

_MODULES = {
    "analysis": ("Analysis", "Segment", "Verdict", "Voice"),
    "audio.decode": ("DecodeLimits", "decode"),
    "audio.quality": ("Quality",),
    "audio.waveform": ("SAMPLE_RATE", "Waveform"),
    "checkpoint.bundle": ("Bundle", "BundleError"),
    "emotions": ("LABELS",),
    "errors": ("AudioError",),
    "recognition.live": ("LiveSession",),
    "recognition.live_engine": ("LiveEngine", "LiveError"),
    "recognition.recognizer": ("Recognizer",),
    "recognition.recording": ("VoiceOptions",),
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and `doctor --repair` must run before torchaudio can be.
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"ser_core.{module}"), name)
    raise AttributeError(f"module 'ser_core' has no attribute {name!r}")
