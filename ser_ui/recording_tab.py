"""The tab "Recording": record or drop, and read which emotion sounds where."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from ser_core import audio, plots
from ser_core.analysis import Analysis, Verdict
from ser_core.audio import AudioError, DecodeLimits
from ser_core.recognizer import Recognizer
from ser_ui import figures, text
from ser_ui.layout import ANNOUNCE, html

TITLE = "Recording"
LIMITS = DecodeLimits(max_duration_s=600.0)
CONCURRENCY = 2  # recordings analysed at once
# What the page tells the server with each recording: figures are drawn once, in the right size.
TELL_VIEW = """(file, _) => {
    const width = document.querySelector('#answer').clientWidth - 42;
    const bars = window.innerWidth > 860 ? Math.round(width * 0.42) - 30 : width;
    return [file, {width, bars}];
}"""
# A chosen row is told to the server, and playback goes to its start. A new table begins with its first row,
# also where the browser remembers another one.
CHOOSE = """watch('value', () => {
    const first = element.querySelector('input');
    if (first) first.checked = true;
});
element.addEventListener('change', (event) => {
    trigger('select', {number: event.target.value});
    document.querySelector('#player audio').currentTime = Number(event.target.dataset.start);
});
element.addEventListener('click', (event) => {
    const radio = event.target.closest('tr')?.querySelector('input');
    if (radio && event.target !== radio && !event.target.closest('label')) radio.click();
});"""


@dataclass(frozen=True)
class View:
    """How a visitor's page wants its figures."""

    width: int = 1120  # pixels, of the timeline
    bars: int = 460  # pixels, of the probability bars

    @classmethod
    def told(cls, by_page: dict[str, Any]) -> "View":
        """The view in what a page sent, kept within what a figure can be: anyone can send anything."""
        width, bars = (min(max(int(by_page[name]), 200), 1600) for name in ("width", "bars"))
        return cls(width, bars)


@dataclass(frozen=True)
class Shown:
    """What the server remembers of a visitor's recording, to draw another choice of segment."""

    analysis: Analysis
    outline: plots.Envelope
    view: View


@dataclass(frozen=True)
class Parts:
    """The components that change."""

    recorded: gr.Audio
    dropped: gr.File
    answer: gr.HTML
    player: gr.HTML
    waveform: gr.HTML
    spectrogram: gr.HTML
    table: gr.HTML
    bars: gr.HTML
    shown: gr.State
    view: gr.JSON


def build(recognizer: Recognizer) -> None:
    """The tab's content; `recognizer` analyses whatever arrives."""
    _listen(_lay_out(), recognizer)


def _lay_out() -> Parts:
    """Everything in the tab, from top to bottom."""
    with gr.Row(equal_height=True):
        recorded = gr.Audio(
            sources="microphone", type="filepath", label="Record", elem_id="record", min_width=260
        )
        # Not gr.Audio: it turns away what the browser does not take for sound, such as WebM and files without
        # an extension. Here the content decides.
        with gr.Column(min_width=260):
            dropped = gr.File(label="Or drop a file", height=170, elem_id="drop")
    answer = html(text.WELCOME, elem_id="answer", js_on_load=ANNOUNCE)
    with gr.Column(elem_id="details"):  # shown by the style sheet when there is an answer
        with gr.Column(elem_classes="card"):
            html("<h3>Timeline</h3>")
            player = html(elem_id="player")
            waveform = html(elem_id="waveform")
            spectrogram = html(elem_id="spectrogram")
        with gr.Row(equal_height=True):
            with gr.Column(elem_classes="card", scale=4):
                html("<h3>Segments</h3>")
                table = html(elem_id="segments", js_on_load=CHOOSE)
            with gr.Column(elem_classes="card", scale=3):
                bars = html(elem_id="probabilities", js_on_load=ANNOUNCE)
    view = gr.JSON(asdict(View()), visible=False)
    return Parts(recorded, dropped, answer, player, waveform, spectrogram, table, bars, gr.State(), view)


def _listen(parts: Parts, recognizer: Recognizer) -> None:
    """Analyse whatever arrives, by itself, and follow the choice of a segment."""

    def analyse_recording(path: str, told: dict[str, Any], progress: gr.Progress = gr.Progress()):  # noqa: B008
        yield from _analyse(parts, recognizer, path, "Your recording", View.told(told), progress)

    def analyse_file(path: str, told: dict[str, Any], progress: gr.Progress = gr.Progress()):  # noqa: B008
        yield from _analyse(parts, recognizer, path, Path(path).name, View.told(told), progress)

    def choose(shown: Shown, event: gr.EventData) -> dict:
        return _choice(parts, shown, int(event.number) - 1 if event.number else None)

    outputs = [getattr(parts, part.name) for part in fields(Parts) if part.name != "view"]
    for source, arrived, handler in (
        (parts.recorded, parts.recorded.stop_recording, analyse_recording),
        (parts.dropped, parts.dropped.upload, analyse_file),
    ):
        arrived(
            handler,
            [source, parts.view],
            outputs,
            js=TELL_VIEW,
            show_progress="minimal",
            show_progress_on=parts.answer,
            concurrency_limit=CONCURRENCY,
            concurrency_id="model",
            api_visibility="private",
        )
    parts.table.select(
        choose, parts.shown, [parts.waveform, parts.bars], show_progress="hidden", api_visibility="private"
    )


def _analyse(
    parts: Parts, recognizer: Recognizer, path: str, name: str, view: View, progress: gr.Progress
) -> Iterator[dict]:
    """What the page shows of the recording at `path`: words first, so that they do not wait for pictures."""
    yield {parts.answer: text.listening(name), parts.recorded: None, parts.dropped: None}
    try:
        waveform = audio.decode(path, LIMITS)
    except AudioError as error:
        yield {parts.answer: text.problem(error.message, name)}
        return
    analysis = recognizer.analyze(
        waveform, name, lambda _, heard: progress((heard, waveform.duration_s), unit="seconds")
    )
    shown = Shown(analysis, plots.envelope(waveform), view)
    yield {
        parts.answer: text.verdict(analysis),
        parts.player: text.player(path, name),
        parts.table: text.segment_table(analysis),
        parts.shown: shown,
        **_choice(parts, shown, None),
    }
    figure = plots.log_mel_figure(waveform, analysis.segments, view.width)
    yield {parts.spectrogram: figures.inline_svg(figure, "Log-mel spectrogram: energy by pitch and time")}


def _choice(parts: Parts, shown: Shown, chosen: int | None) -> dict:
    """Waveform and probability bars for the segment `chosen` (an index), or for the whole recording."""
    analysis, view = shown.analysis, shown.view
    found: Verdict = analysis.summary if chosen is None else analysis.segments[chosen]
    waveform = plots.waveform_figure(shown.outline, analysis.segments, chosen, view.width)
    bars = "<p>No probabilities without speech.</p>"
    if found.probabilities:
        figure = plots.probability_figure(found, view.bars)
        bars = figures.inline_svg(figure, figures.describe_probabilities(found))
    title = figures.title_of(chosen, analysis.segments)
    return {
        parts.waveform: figures.inline_svg(waveform, figures.describe_timeline(analysis)),
        parts.bars: f"<h3>Probabilities · {title}</h3>{bars}",
    }
