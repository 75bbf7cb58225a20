"""The timeline of a recording: the data that the scripts in assets/timeline/ draw.

Drawing, playback and corrections happen in the browser. The page sends two requests to the server: the
explanation of a segment (`explain`) and a file to save (`save`). Replies are set as the property `reply`.
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

VIEW = (  # scripts of every tab that shows a recording; in this order, in one scope
    *("shared/words", "shared/canvas", "shared/files", "shared/voices"),
    *(f"timeline/{part}" for part in ("data", "axis", "lanes", "table", "view", "playback", "input")),
)
SCRIPTS = (*VIEW, *(f"timeline/{part}" for part in ("voices", "session", "actions", "correcting")))
WEBP_QUALITY = 80
MAGMA = np.round(255 * matplotlib.colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)


def build(recognizer: Recognizer) -> gr.HTML:
    """The empty timeline. Its value is to be `content`, its property `spectrogram` `spectrogram_url`."""
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
    """Everything that the timeline shows of the recording at `path`, except its spectrogram, as JSON.

    JSON because Gradio wraps every item of a property that is a list, which takes seconds for an hour.
    """
    fields = sound(path, waveform, analysis.source) | to_dict(analysis)
    # What the session changed is for people: it is shown, not exported.
    fields["by_itself"] = [segment.by_itself for segment in analysis.segments]
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def sound(path: str, waveform: Waveform, source: str) -> dict[str, Any]:
    """The properties that a page needs to play and draw the recording at `path`.

    `source` is the name that is displayed. `lows` and `highs` are int8 sample extremes, base64-encoded,
    `per_second` of them, where 127 stands for the amplitude `peak`.
    """
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


def spectrogram_url(waveform: Waveform) -> str:
    """The log-mel spectrogram of `waveform` as the data URL of an image."""
    return _data_url(MAGMA[overview.log_mel(waveform)])


def explanation_reply(
    number: int, waveform: Waveform, start_s: float, saliency: explain.Saliency, phrases: Phrases
) -> str:
    """The `reply` to request `number`: the explanation of `waveform`, which begins at `start_s`."""
    return reply(
        number,
        "explanation",
        start=start_s,
        end=start_s + waveform.duration_s,
        image=_data_url(overview.saliency(waveform, saliency)),
        words=explanation_text(saliency, phrases),
    )


def explanation_text(saliency: explain.Saliency, phrases: Phrases) -> str:
    """An explanation in words, for screen readers."""
    regions = []
    for side in ("for", "against"):
        region = explain.top_region(saliency, against=side == "against")
        if region:
            edges = {"start": phrases.number(region.start_s, 1), "end": phrases.number(region.end_s, 1)}
            band = {"low": phrases.number(region.low_hz, 0), "high": phrases.number(region.high_hz, 0)}
            regions.append(phrases(f"timeline.{side}", **edges, **band))
    return phrases(
        "timeline.explanation",
        emotion=phrases.emotion(saliency.label),
        share=phrases.percent(saliency.probability),
        regions="; ".join(regions) or phrases("timeline.neither"),
    )


def reply(number: int, kind: str, **fields: Any) -> str:
    """The reply to request `number` of the page as JSON: a `file`, an `explanation` or a `problem`."""
    return json.dumps({"kind": kind, "number": number, **fields}, ensure_ascii=False, allow_nan=False)


def _data_url(image: overview.Image) -> str:
    """`image`, shape (band, column, 3), lowest band first, as a WebP data URL."""
    buffer = io.BytesIO()
    Image.fromarray(image[::-1]).save(buffer, "WEBP", quality=WEBP_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
