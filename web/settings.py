"""What the page's scripts take from the Python code, so that no number is written twice."""

from dataclasses import asdict
from typing import Any

from ser_core.analysis import SCHEMA
from ser_core.audio import channels, quality, vad
from ser_core.audio.decode import LARGEST_SAMPLE, DecodeLimits
from ser_core.audio.stored import BLOCK_S
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import EMOTIONS, LABELS, UNKNOWN_COLOR
from ser_core.export import csv
from ser_core.pictures import overview
from ser_core.recognition import live
from ser_ui import corrections
from ser_ui.server.limits import DECODE_LIMITS
from ser_ui.tabs.live import MAX_SOUND_S
from ser_ui.words import PHRASES

VAD = (
    *("FRAME_SAMPLES", "GAIN_TARGET_DB", "GAIN_MAX_DB", "QUIET_DB", "GAIN_RELEASE_DB"),
    *("BAND_BINS", "FIRST_BIN", "BANDS", "VOICE_BANDS", "RANGE_DB", "POWER_FLOOR"),
    *("OFFSET_MIN", "OFFSET_FRAMES"),
    *("PEAKY_NATS", "MOVING_DB", "EVIDENCE_FRAMES", "EVIDENCE_WINDOW", "REACH_FRAMES"),
)
QUALITY = (
    *("FRAME_SAMPLES", "FLOOR_DBFS", "STEP_DB", "FULL_SCALE", "CLIPPED_RUN", "SPEECH_PERCENTILE"),
    *("NOISE_PERCENTILE", "MAX_SNR_DB", "LOUD_RANGE_DB", "AUDIBLE_RANGE_DB", "QUIET_DBFS", "CLIPPED_SHARE"),
    *("NOISY_DB", "TELEPHONE_HZ"),
)
CHANNELS = ("CANCELLED_SHARE", "CANCELLED_PIECE_S", "CANCELLED_LAG_S")
FORMATS = ("json", "csv", "textgrid", "vtt")  # that the page writes
PACKAGE_WORDS = ("live.", "audio.", "warning.")  # the library's messages that the page shows


def settings() -> dict[str, Any]:
    """Constants of speech detection, quality, limits, emotions and formats, as the scripts read them."""
    return {
        "schema": SCHEMA,
        "sampleRate": SAMPLE_RATE,
        "vad": _vad(),
        "quality": _quality(),
        "channels": {name: getattr(channels, name) for name in CHANNELS},
        "blockS": BLOCK_S,
        "largestSample": LARGEST_SAMPLE,
        "limits": asdict(DecodeLimits(max_duration_s=DECODE_LIMITS.max_duration_s)),
        "live": {"provisionalSamples": live.PROVISIONAL_SAMPLES, "levelSamples": live.LEVEL_SAMPLES},
        "keptS": MAX_SOUND_S,
        "emotions": [asdict(emotion) for emotion in EMOTIONS],
        "labels": list(LABELS),
        "unknownColor": UNKNOWN_COLOR,
        "formats": list(FORMATS),
        "csvColumns": list(csv.COLUMNS),
        "formulaStarts": list(csv.FORMULA_STARTS),
        "correctionColumns": list(corrections.COLUMNS),
        "outline": {"maxPeaks": overview.MAX_PEAKS, "minSamples": overview.MIN_PEAK_SAMPLES},
    }


def phrases() -> dict[str, dict[str, str]]:
    """The phrases of the page by language, as Gradio gives them to the same scripts."""
    return {language: dict(words.words) for language, words in PHRASES.items()}


def _vad() -> dict[str, Any]:
    options = vad.VadOptions()
    return {name: getattr(vad, name) for name in VAD} | {
        "SAMPLE_RATE": SAMPLE_RATE,
        "AGGRESSIVENESS": options.aggressiveness,
        "PAD": options.pad_samples,
        "MIN_SPEECH": options.min_speech_frames,
        "MIN_SILENCE": options.min_silence_frames,
        "MAX_SPEECH": options.max_speech_frames,
    }


def _quality() -> dict[str, Any]:
    """The constants, and the sentence of each warning, taken from the function that gives them."""
    silent, quiet, clipped = quality.FLOOR_DBFS, quality.QUIET_DBFS - 1, quality.CLIPPED_SHARE
    good = {"peak_dbfs": 0.0, "clipped": 0.0, "snr_db": 99.0, "bandwidth_hz": 8000}
    faults = {
        "silent": {"peak_dbfs": silent},
        "quiet": {"peak_dbfs": quiet},
        "clipped": {"clipped": clipped},
        "noisy": {"snr_db": 0.0},
        "telephone": {"bandwidth_hz": 0},
    }
    warnings = {name: quality.sentences(**(good | fault))[0] for name, fault in faults.items()}
    return {name: getattr(quality, name) for name in QUALITY} | {
        "SAMPLE_RATE": SAMPLE_RATE,
        "WARNINGS": warnings,
    }
