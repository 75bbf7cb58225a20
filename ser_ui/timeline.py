"""The timeline of a recording: what the scripts in assets/timeline/ draw, and what they are told.

The page draws, plays and corrects by itself. It asks the server for two things: the explanation of a segment
(`explain`) and a file to save (`save`); the answers come in the property `reply`.
"""

import base64
import io
import json
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import gradio as gr
import matplotlib
import numpy as np
from PIL import Image

from ser_core.analysis import Analysis
from ser_core.audio.waveform import Waveform
from ser_core.emotions import BY_NAME, LABELS, UNKNOWN, UNKNOWN_COLOR
from ser_core.export import WRITERS
from ser_core.export.json import to_dict
from ser_core.export.text import TIME_DIGITS, utf8
from ser_core.pictures import overview
from ser_core.recognition import explain
from ser_core.recognition.recognizer import Recognizer
from ser_ui.corrections import sound_name
from ser_ui.layout import html, script, template
from ser_ui.words import Phrases

VIEW = (  # what any tab looks at a recording with; in this order, one scope
    *("shared/words", "shared/canvas", "shared/files"),
    *(f"timeline/{part}" for part in ("data", "axis", "lanes", "table", "view", "playback", "input")),
)
SCRIPTS = (*VIEW, *(f"timeline/{part}" for part in ("session", "actions", "correcting")))
WEBP_QUALITY = 80
MAGMA = np.round(255 * matplotlib.colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)


def build(recognizer: Recognizer) -> gr.HTML:
    """The empty timeline; its value is set to `content`, its property `spectrogram` to `picture`."""
    labels = recognizer.bundle.labels
    return html(
        html_template=template("timeline/timeline"),
        elem_id="timeline",
        js_on_load=script(*SCRIPTS),
        emotions=[asdict(BY_NAME[label]) for label in labels],
        labels=[*LABELS, UNKNOWN],
        unknown_color=UNKNOWN_COLOR,
        threshold=recognizer.bundle.threshold,
        formats=list(WRITERS),
        band_hz=[round(hz) for hz in overview.band_hz()],
        spectrogram="",
        reply="",
    )


def content(path: str, waveform: Waveform, analysis: Analysis) -> str:
    """All that the timeline shows of the recording at `path` but its spectrogram, as JSON.

    JSON, because Gradio wraps every item of a list that is a property, which takes seconds for an hour.
    """
    told = sound(path, waveform, analysis.source) | to_dict(analysis)
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def sound(path: str, waveform: Waveform, source: str) -> dict[str, Any]:
    """What a page plays and draws of the recording at `path`, which people call `source`."""
    outline = overview.outline(waveform)
    return {
        "audio": f"gradio_api/file={quote(path)}",
        "source": utf8(source),
        "file": sound_name(source),
        "duration": round(waveform.duration_s, TIME_DIGITS),
        "per_second": outline.per_second,
        "peak": outline.peak,
        "lows": base64.b64encode(outline.lows.tobytes()).decode(),
        "highs": base64.b64encode(outline.highs.tobytes()).decode(),
    }


def picture(waveform: Waveform) -> str:
    """The log-mel spectrogram as the address of an image."""
    return _data_url(MAGMA[overview.log_mel(waveform)])


def explained(
    number: int, waveform: Waveform, start_s: float, found: explain.Saliency, phrases: Phrases
) -> str:
    """The `reply` with an explanation of the stretch `waveform`, which begins at `start_s`."""
    return reply(
        number,
        "explanation",
        start=start_s,
        end=start_s + waveform.duration_s,
        image=_data_url(overview.saliency(waveform, found)),
        words=described(found, phrases),
    )


def described(found: explain.Saliency, phrases: Phrases) -> str:
    """An explanation in words, for those who do not see it."""
    regions = []
    for side in ("for", "against"):
        region = explain.top_region(found, against=side == "against")
        if region:
            edges = {"start": phrases.number(region.start_s, 1), "end": phrases.number(region.end_s, 1)}
            band = {"low": phrases.number(region.low_hz, 0), "high": phrases.number(region.high_hz, 0)}
            regions.append(phrases(f"timeline.{side}", **edges, **band))
    return phrases(
        "timeline.explanation",
        emotion=phrases.emotion(found.label),
        share=phrases.percent(found.probability),
        regions="; ".join(regions) or phrases("timeline.neither"),
    )


def reply(number: int, kind: str, **told: Any) -> str:
    """An answer to what the page asked as its `number`: a `file`, an `explanation` or a `problem`."""
    return json.dumps({"kind": kind, "number": number, **told}, ensure_ascii=False, allow_nan=False)


def _data_url(picture: overview.Image) -> str:
    """`picture` `(band, column, 3)`, the lowest band first, as WebP."""
    buffer = io.BytesIO()
    Image.fromarray(picture[::-1]).save(buffer, "WEBP", quality=WEBP_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
