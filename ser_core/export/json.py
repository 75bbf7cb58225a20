"""JSON: a list of analyses. docs/programs.md describes the schema; `analysis.SCHEMA` is its number."""

import json
from collections.abc import Sequence
from typing import Any

from ser_core.analysis import SCHEMA, Analysis, Segment, Verdict, Voice
from ser_core.audio.quality import Quality
from ser_core.export.text import PROBABILITY_DIGITS, TIME_DIGITS, utf8

LEVEL_DIGITS = 1  # dB
SHARE_DIGITS = 6  # of samples


def dumps(analyses: Sequence[Analysis]) -> str:
    """A JSON list with one object per analysis; it can be encoded as UTF-8 and ends in a newline."""
    return json.dumps([to_dict(a) for a in analyses], indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_dict(analysis: Analysis) -> dict[str, Any]:
    """One analysis as values for JSON: times in s, rounded to ms; probabilities rounded to four digits."""
    error = analysis.error
    return {
        "schema": SCHEMA,
        "source": utf8(analysis.source),
        "duration": round(analysis.duration, TIME_DIGITS),
        "model": {"name": analysis.model_name, "version": analysis.model_version},
        "quality": analysis.quality and _quality(analysis.quality),
        "segments": [segment_to_dict(segment) for segment in analysis.segments],
        "summary": _verdict(analysis.summary),
        "voices": [_voice(voice) for voice in analysis.voices],
        "error": error and {"code": error.code, "message": utf8(error.message)},
    }


def _quality(quality: Quality) -> dict[str, Any]:
    return {
        "peak_dbfs": round(quality.peak_dbfs, LEVEL_DIGITS),
        "clipped": round(quality.clipped, SHARE_DIGITS),
        "snr_db": round(quality.snr_db, LEVEL_DIGITS),
        "bandwidth_hz": quality.bandwidth_hz,
        "warnings": list(quality.warnings),
    }


def segment_to_dict(segment: Segment) -> dict[str, Any]:
    """One segment as values for JSON, as in the list of an analysis."""
    return {
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        **_verdict(segment),
        "valence": round(segment.valence, PROBABILITY_DIGITS),
        "arousal": round(segment.arousal, PROBABILITY_DIGITS),
        "voice": segment.voice and utf8(segment.voice),
        "channel": segment.channel,
        "overlap": segment.overlap,
    }


def _voice(voice: Voice) -> dict[str, Any]:
    return {
        "voice": utf8(voice.name),
        "channel": voice.channel,
        "time": round(voice.time, TIME_DIGITS),
        "shares": {label: round(share, PROBABILITY_DIGITS) for label, share in voice.shares.items()},
        "summary": _verdict(voice.summary),
        "trail": [
            {
                "time": round(time, TIME_DIGITS),
                "valence": round(valence, PROBABILITY_DIGITS),
                "arousal": round(arousal, PROBABILITY_DIGITS),
            }
            for time, valence, arousal in voice.trail
        ],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "label": verdict.label,
        "confidence": round(verdict.confidence, PROBABILITY_DIGITS),
        "probabilities": {name: round(p, PROBABILITY_DIGITS) for name, p in verdict.probabilities.items()},
    }
