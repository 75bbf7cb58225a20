"""The tab "Recording": record or drop a recording, and see which emotion sounds where."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ser_core.analysis import Analysis
from ser_core.audio.channels import EACH, MIX
from ser_core.audio.waveform import SAMPLE_RATE, Waveform, join
from ser_core.errors import AudioError, CodedError
from ser_core.export import EXTENSIONS, WRITERS
from ser_core.recognition.explain import explain
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import VoiceOptions
from ser_ui import corrections, examples, text, timeline, voices, words
from ser_ui.corrections import CorrectionError
from ser_ui.layout import ANNOUNCE, empty_on_failure, html
from ser_ui.model_cache import ModelCache
from ser_ui.server.limits import ANALYSES, DECODE_LIMITS
from ser_ui.words import Phrases

NAME = "recording"
MAX_EXPLAINED_S = 30.0  # of one segment; merged ones can be longer than the model's window


@dataclass(frozen=True)
class OpenRecording:
    """The recording that a visitor has open, as the server keeps it."""

    path: str  # of the audio file, which is deleted after a while
    analysis: Analysis


@dataclass(frozen=True)
class Parts:
    """The components that events change."""

    microphone: gr.Audio
    file_input: gr.File
    voices: gr.HTML
    answer: gr.HTML
    timeline: gr.HTML
    opened: gr.State


def build(cache: ModelCache) -> None:
    """The tab's content. The server's own model analyses every recording."""
    recognizer = cache.own
    parts = _lay_out(recognizer)
    _connect_inputs(parts, recognizer)
    _connect_timeline(parts, recognizer)


def _lay_out(recognizer: Recognizer) -> Parts:
    """Creates the tab's components, from top to bottom."""
    with gr.Row(equal_height=True):
        microphone = gr.Audio(
            sources="microphone",
            type="filepath",
            label=words.key("recording.record"),
            elem_id="record",
            min_width=260,
        )
        # Not gr.Audio: it rejects files that the browser does not recognise as audio, such as WebM and files
        # without an extension. Here the content decides.
        with gr.Column(min_width=260):
            file_input = gr.File(label=words.key("recording.drop"), height=170, elem_id="drop")
    voices_html = voices.build()
    examples.build()
    answer = html(words.key("page.welcome"), elem_id="answer", js_on_load=ANNOUNCE)
    with gr.Column(elem_id="details"):  # the style sheet shows it when there is a verdict
        timeline_html = timeline.build(recognizer)
    return Parts(microphone, file_input, voices_html, answer, timeline_html, gr.State())


def _connect_inputs(parts: Parts, recognizer: Recognizer) -> None:
    """Analyses each recording as soon as it arrives."""

    def analyse_recording(path: str, asked: str, request: gr.Request, progress: gr.Progress = gr.Progress()):  # noqa: B008
        phrases = words.for_request(request)
        options = voices.options_of(asked)
        yield from _analyse(parts, recognizer, path, phrases("recording.yours"), options, phrases, progress)

    def analyse_file(path: str, asked: str, request: gr.Request, progress: gr.Progress = gr.Progress()):  # noqa: B008
        phrases = words.for_request(request)
        options = voices.options_of(asked)
        yield from _analyse(parts, recognizer, path, Path(path).name, options, phrases, progress)

    for source, trigger, handler in (
        (parts.microphone, parts.microphone.stop_recording, analyse_recording),
        (parts.file_input, parts.file_input.upload, analyse_file),
    ):
        event = trigger(
            handler,
            [source, parts.voices],
            [getattr(parts, part.name) for part in fields(Parts)],
            show_progress="minimal",
            show_progress_on=parts.answer,
            concurrency_limit=ANALYSES,
            concurrency_id="model",
            api_visibility="private",
        )
        empty_on_failure(event, source)


def _connect_timeline(parts: Parts, recognizer: Recognizer) -> None:
    """Replies to the timeline's requests: the explanation of a segment, and files to save."""

    def explain_segment(opened: OpenRecording, event: gr.EventData, request: gr.Request) -> dict:
        return gr.update(
            reply=_reply(_explanation_reply, recognizer, opened, event, words.for_request(request))
        )

    def save(opened: OpenRecording, event: gr.EventData, request: gr.Request) -> dict:
        return gr.update(reply=_reply(_file_reply, recognizer, opened, event, words.for_request(request)))

    parts.timeline.explain(
        explain_segment,
        parts.opened,
        parts.timeline,
        show_progress="hidden",
        concurrency_limit=ANALYSES,
        concurrency_id="model",
        api_visibility="private",
    )
    parts.timeline.save(save, parts.opened, parts.timeline, show_progress="hidden", api_visibility="private")


def _analyse(
    parts: Parts,
    recognizer: Recognizer,
    path: str,
    name: str,
    options: VoiceOptions,
    phrases: Phrases,
    progress: gr.Progress,
) -> Iterator[dict]:
    """Updates of the page for the recording at `path`: the texts first, the spectrogram last."""
    yield {
        parts.answer: text.listening(name, phrases),
        parts.timeline: gr.update(value="", spectrogram=""),
        parts.microphone: None,
        parts.file_input: None,
    }
    warnings: list[str] = []
    try:
        waveform, apart = _read(recognizer, path, options, warnings)
    except AudioError as error:
        yield {parts.answer: text.problem(phrases.error(error), name, phrases)}
        return
    unit, total = phrases("number.seconds"), ceil(waveform.duration_s)

    def report(_: str, seconds: float) -> None:
        progress((int(seconds), total), unit=unit)

    if apart:  # read once more: an hour of eight channels does not fit into memory
        analysis = recognizer.analyze_file(path, name, DECODE_LIMITS, report, options=options)
    else:
        analysis = recognizer.analyze(waveform, name, report, warnings, options)
    yield {
        parts.answer: text.verdict(analysis, phrases),
        parts.timeline: gr.update(value=timeline.content(path, waveform, analysis)),
        parts.opened: OpenRecording(path, analysis),
    }
    yield {parts.timeline: gr.update(spectrogram=timeline.spectrogram_url(waveform))}


def _read(
    recognizer: Recognizer, path: str, options: VoiceOptions, warnings: list[str]
) -> tuple[Waveform, bool]:
    """The recording as one channel, to be drawn, and whether its channels are heard apart."""
    apart = False
    blocks = []
    for block in recognizer.read(path, DECODE_LIMITS, warnings, options.decoded_channels):
        apart = block.ndim == 2
        blocks.append(block.mean(axis=1) if apart else block)
    return join(blocks), apart


def _reply(
    make_reply: Any,
    recognizer: Recognizer,
    opened: OpenRecording | None,
    event: gr.EventData,
    phrases: Phrases,
) -> str:
    """The result of `make_reply` for the request `event`, or a reply that says why there is none."""
    number = int(event.number)
    if opened is None:
        return timeline.reply(number, "problem", words=phrases("recording.forgotten"))
    try:
        return make_reply(number, recognizer, opened, event, phrases)
    except CodedError as error:
        return timeline.reply(number, "problem", words=text.sentence(phrases.error(error)))


def _explanation_reply(
    number: int, recognizer: Recognizer, opened: OpenRecording, event: gr.EventData, phrases: Phrases
) -> str:
    """Why a segment sounds like its label; if the label is `unknown`, like its most probable emotion.

    Raises CorrectionError for a segment that is too long or not in the recording, and if the audio is gone.
    """
    start, end = float(event.start), float(event.end)
    if not 0 <= start < end <= opened.analysis.duration + 1e-3:
        raise CorrectionError("bad_correction", "This is no stretch of the recording.")
    if end - start > MAX_EXPLAINED_S:
        raise CorrectionError("too_long", f"Only {MAX_EXPLAINED_S:g} s can be explained at once: split it.")
    if not Path(opened.path).is_file():
        raise CorrectionError("gone", "The sound was deleted, as always after a while: drop the file again.")
    waveform = _read_between(recognizer, opened.path, start, end, _channel(event, opened.analysis))
    label = event.label if event.label in recognizer.bundle.labels else None
    saliency = explain(recognizer, waveform.samples, label)
    return timeline.explanation_reply(number, waveform, start, saliency, phrases)


def _channel(event: gr.EventData, analysis: Analysis) -> int | None:
    """The channel of a segment, from 1, where they were heard apart. Raises CorrectionError."""
    channel = getattr(event, "channel", None)
    if channel not in {None, *(segment.channel for segment in analysis.segments)}:
        raise CorrectionError("bad_correction", "This is no channel of the recording.")
    return channel


def _read_between(
    recognizer: Recognizer, path: str, start: float, end: float, channel: int | None
) -> Waveform:
    """The audio between two times in seconds, of one channel or their mix, without reading what follows."""
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    blocks_kept, position = [], 0
    with closing(recognizer.read(path, DECODE_LIMITS, None, EACH if channel else MIX)) as blocks:
        for sound in blocks:
            block = sound[:, channel - 1] if channel and sound.ndim == 2 else sound
            blocks_kept.append(block[max(0, first - position) : max(0, last - position)])
            position += len(block)
            if position >= last:
                break
    return Waveform(np.concatenate(blocks_kept))


def _file_reply(
    number: int, recognizer: Recognizer, opened: OpenRecording, event: gr.EventData, _: Phrases
) -> str:
    """A file of the corrected results, or of the reviewed segments as a corpus. Raises CorrectionError."""
    analysis, threshold = opened.analysis, recognizer.bundle.threshold
    corrected = corrections.parse(analysis, event.segments, threshold)
    name = corrections.sound_name(analysis.source)
    if event.format == "corpus":
        return timeline.reply(
            number, "file", name=f"{Path(name).stem}.csv", text=corrections.dumps(name, corrected)
        )
    if event.format not in WRITERS:
        raise CorrectionError("unknown_format", f"There is no such format; there are {', '.join(WRITERS)}.")
    content = WRITERS[event.format]([corrections.apply(analysis, corrected, threshold)])
    return timeline.reply(
        number, "file", name=f"{name}.{EXTENSIONS.get(event.format, event.format)}", text=content
    )
