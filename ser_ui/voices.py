"""Who speaks: the choice of how voices are told apart, and what is said of each voice."""

import json
from collections.abc import Sequence

import gradio as gr

from ser_core.analysis import Analysis, Segment, speaking_time
from ser_core.emotions import UNKNOWN
from ser_core.recognition.recording import VoiceOptions
from ser_ui.layout import html, script, template
from ser_ui.words import Phrases

MOST_VOICES = 8  # that can be chosen; the rest is found out
NAMED = 4  # voices in a headline
STEADY = 0.85  # share of a voice's time from which on one label is all there is to say
MOSTLY = 0.5
BEFORE, AFTER = 0.3, 0.8  # share of a label before and after the time from which on it prevails
MIN_AFTER_S = 3.0  # for how long, at least


def build() -> gr.HTML:
    """The choice; its value is `options_of` JSON."""
    return html(
        "{}",
        html_template=template("voices/voices"),
        elem_id="who",
        js_on_load=script("shared/words", "voices/voices"),
        numbers=list(range(2, MOST_VOICES + 1)),
    )


def options_of(value: str | None) -> VoiceOptions:
    """The options in the value of `build`; where a page sends none that make sense, those of a new page."""
    try:
        asked = json.loads(value or "{}")
        return VoiceOptions.named(str(asked.get("voices", "auto")), str(asked.get("channels", "auto")))
    except (ValueError, AttributeError):
        return VoiceOptions()


def headline(analysis: Analysis, phrases: Phrases) -> str:
    """How each voice sounds, in a sentence without a full stop: "A mostly calm, B angry from 2:10 on"."""
    parts = []
    for voice in analysis.voices[:NAMED]:
        own = [segment for segment in analysis.segments if segment.voice == voice.name]
        parts.append(_course(voice.name, own, phrases))
    if more := len(analysis.voices) - NAMED:
        parts += [phrases("voices.more", count=more)] if more > 0 else []
    return ", ".join(parts)


def times(analysis: Analysis, phrases: Phrases) -> str:
    """How long each voice speaks, and where channels were heard apart, on which; as a sentence."""
    parts = []
    for voice in analysis.voices:
        values = {"voice": voice.name, "time": _clock(voice.time), "channel": voice.channel}
        parts.append(phrases("voices.time_channel" if voice.channel else "voices.time", **values))
    return phrases("voices.times", parts=", ".join(parts))


def _course(name: str, segments: Sequence[Segment], phrases: Phrases) -> str:
    """How one voice sounds, and from when on."""
    shares = _shares(segments)
    label, share = next(iter(shares.items()))
    if share >= STEADY:
        return phrases("voices.steady", voice=name, emotion=_emotion(label, phrases))
    if turn := _turn(segments):
        return phrases(
            "voices.from", voice=name, emotion=_emotion(turn.label, phrases), time=_clock(turn.start)
        )
    if share >= MOSTLY:
        return phrases("voices.mostly", voice=name, emotion=_emotion(label, phrases))
    return phrases("voices.mixed", voice=name)


def _turn(segments: Sequence[Segment]) -> Segment | None:
    """The first segment from which on an emotion prevails that was rare before; None where there is none."""
    for index in range(1, len(segments)):
        label = segments[index].label
        before, after = segments[:index], segments[index:]
        lasts = sum(one.end - one.start for one in after) >= MIN_AFTER_S
        prevails = _shares(after)[label] >= AFTER and _shares(before).get(label, 0.0) <= BEFORE
        clear = _shares(before).get(UNKNOWN, 0.0) <= BEFORE  # else nobody knows what it was before
        if label != UNKNOWN and clear and lasts and prevails:
            return segments[index]
    return None


def _shares(segments: Sequence[Segment]) -> dict[str, float]:
    seconds = speaking_time(segments)
    total = sum(seconds.values())
    return {label: length / total for label, length in seconds.items()}


def _emotion(label: str, phrases: Phrases) -> str:
    return phrases.emotion("unclear" if label == UNKNOWN else label)


def _clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> _clock(130.4)
    '2:10'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
