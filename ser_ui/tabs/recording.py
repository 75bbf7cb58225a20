"""The tab "Recording": record or drop, and read which emotion sounds where."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ser_core.analysis import Analysis
from ser_core.audio.waveform import SAMPLE_RATE, Waveform, join
from ser_core.errors import AudioError, CodedError
from ser_core.export import EXTENSIONS, WRITERS
from ser_core.recognition.explain import explain
from ser_core.recognition.recognizer import Recognizer
from ser_ui import corrections, examples, text, timeline, words
from ser_ui.corrections import CorrectionError
from ser_ui.layout import ANNOUNCE, empty_on_failure, html
from ser_ui.server.limits import ANALYSES, DECODE_LIMITS
from ser_ui.shelf import Shelf
from ser_ui.words import Phrases

NAME = "recording"
MAX_EXPLAINED_S = 30.0  # of one segment; merged ones can be longer than the model's window


@dataclass(frozen=True)
class Shown:
    """What the server remembers of a visitor's recording."""

    path: str  # of the sound, as long as Gradio keeps it
    analysis: Analysis


@dataclass(frozen=True)
class Parts:
    """The components that change."""

    recorded: gr.Audio
    dropped: gr.File
    answer: gr.HTML
    timeline: gr.HTML
    shown: gr.State


def build(shelf: Shelf) -> None:
    """The tab's content; the server's own model analyses whatever arrives."""
    recognizer = shelf.own
    parts = _lay_out(recognizer)
    _listen(parts, recognizer)
    _serve(parts, recognizer)


def _lay_out(recognizer: Recognizer) -> Parts:
    """Everything in the tab, from top to bottom."""
    with gr.Row(equal_height=True):
        recorded = gr.Audio(
            sources="microphone",
            type="filepath",
            label=words.key("recording.record"),
            elem_id="record",
            min_width=260,
        )
        # Not gr.Audio: it turns away what the browser does not take for sound, such as WebM and files without
        # an extension. Here the content decides.
        with gr.Column(min_width=260):
            dropped = gr.File(label=words.key("recording.drop"), height=170, elem_id="drop")
    examples.build()
    answer = html(words.key("page.welcome"), elem_id="answer", js_on_load=ANNOUNCE)
    with gr.Column(elem_id="details"):  # shown by the style sheet when there is an answer
        shown = timeline.build(recognizer)
    return Parts(recorded, dropped, answer, shown, gr.State())


def _listen(parts: Parts, recognizer: Recognizer) -> None:
    """Analyse whatever arrives, by itself."""

    def analyse_recording(path: str, request: gr.Request, progress: gr.Progress = gr.Progress()):  # noqa: B008
        phrases = words.of(request)
        yield from _analyse(parts, recognizer, path, phrases("recording.yours"), phrases, progress)

    def analyse_file(path: str, request: gr.Request, progress: gr.Progress = gr.Progress()):  # noqa: B008
        yield from _analyse(parts, recognizer, path, Path(path).name, words.of(request), progress)

    for source, arrived, handler in (
        (parts.recorded, parts.recorded.stop_recording, analyse_recording),
        (parts.dropped, parts.dropped.upload, analyse_file),
    ):
        event = arrived(
            handler,
            source,
            [getattr(parts, part.name) for part in fields(Parts)],
            show_progress="minimal",
            show_progress_on=parts.answer,
            concurrency_limit=ANALYSES,
            concurrency_id="model",
            api_visibility="private",
        )
        empty_on_failure(event, source)


def _serve(parts: Parts, recognizer: Recognizer) -> None:
    """Answer what the timeline asks: the explanation of a segment, and files to save."""

    def explain_segment(shown: Shown, event: gr.EventData, request: gr.Request) -> dict:
        return gr.update(reply=_reply(_explained, recognizer, shown, event, words.of(request)))

    def save(shown: Shown, event: gr.EventData, request: gr.Request) -> dict:
        return gr.update(reply=_reply(_saved, recognizer, shown, event, words.of(request)))

    parts.timeline.explain(
        explain_segment,
        parts.shown,
        parts.timeline,
        show_progress="hidden",
        concurrency_limit=ANALYSES,
        concurrency_id="model",
        api_visibility="private",
    )
    parts.timeline.save(save, parts.shown, parts.timeline, show_progress="hidden", api_visibility="private")


def _analyse(
    parts: Parts, recognizer: Recognizer, path: str, name: str, phrases: Phrases, progress: gr.Progress
) -> Iterator[dict]:
    """What the page shows of the recording at `path`: words first, so that they do not wait for pictures."""
    yield {
        parts.answer: text.listening(name, phrases),
        parts.timeline: gr.update(value="", spectrogram=""),
        parts.recorded: None,
        parts.dropped: None,
    }
    try:
        waveform = join(recognizer.read(path, DECODE_LIMITS))
    except AudioError as error:
        yield {parts.answer: text.problem(phrases.error(error), name, phrases)}
        return
    unit, total = phrases("number.seconds"), ceil(waveform.duration_s)
    analysis = recognizer.analyze(waveform, name, lambda _, heard: progress((int(heard), total), unit=unit))
    yield {
        parts.answer: text.verdict(analysis, phrases),
        parts.timeline: gr.update(value=timeline.content(path, waveform, analysis)),
        parts.shown: Shown(path, analysis),
    }
    yield {parts.timeline: gr.update(spectrogram=timeline.picture(waveform))}


def _reply(
    answer: Any, recognizer: Recognizer, shown: Shown | None, event: gr.EventData, phrases: Phrases
) -> str:
    """What `answer` says to the page's question, or why it cannot be answered."""
    number = int(event.number)
    if shown is None:
        return timeline.reply(number, "problem", words=phrases("recording.forgotten"))
    try:
        return answer(number, recognizer, shown, event, phrases)
    except CodedError as error:
        return timeline.reply(number, "problem", words=text.sentence(phrases.error(error)))


def _explained(
    number: int, recognizer: Recognizer, shown: Shown, event: gr.EventData, phrases: Phrases
) -> str:
    """Why a segment sounds like its label, or where nobody is sure, like the likeliest emotion."""
    start, end = float(event.start), float(event.end)
    if not 0 <= start < end <= shown.analysis.duration + 1e-3:
        raise CorrectionError("bad_correction", "This is no stretch of the recording.")
    if end - start > MAX_EXPLAINED_S:
        raise CorrectionError("too_long", f"Only {MAX_EXPLAINED_S:g} s can be explained at once: split it.")
    if not Path(shown.path).is_file():
        raise CorrectionError("gone", "The sound was deleted, as always after a while: drop the file again.")
    waveform = _stretch(recognizer, shown.path, start, end)
    label = event.label if event.label in recognizer.bundle.labels else None
    found = explain(recognizer, waveform.samples, label)
    return timeline.explained(number, waveform, start, found, phrases)


def _stretch(recognizer: Recognizer, path: str, start: float, end: float) -> Waveform:
    """The sound between two times in seconds, read without what comes after it."""
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    pieces, heard = [], 0
    with closing(recognizer.read(path, DECODE_LIMITS)) as blocks:
        for block in blocks:
            pieces.append(block[max(0, first - heard) : max(0, last - heard)])
            heard += len(block)
            if heard >= last:
                break
    return Waveform(np.concatenate(pieces))


def _saved(number: int, recognizer: Recognizer, shown: Shown, event: gr.EventData, _: Phrases) -> str:
    """A file of the results as the person left them, or of what was checked."""
    analysis, threshold = shown.analysis, recognizer.bundle.threshold
    found = corrections.corrections(analysis, event.segments, threshold)
    name = corrections.sound_name(analysis.source)
    if event.format == "corpus":
        return timeline.reply(
            number, "file", name=f"{Path(name).stem}.csv", text=corrections.dumps(name, found)
        )
    if event.format not in WRITERS:
        raise CorrectionError("unknown_format", f"There is no such format; there are {', '.join(WRITERS)}.")
    written = WRITERS[event.format]([corrections.corrected(analysis, found, threshold)])
    return timeline.reply(
        number, "file", name=f"{name}.{EXTENSIONS.get(event.format, event.format)}", text=written
    )
