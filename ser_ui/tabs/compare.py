"""The tab "Compare": one recording analysed by several models, and where they differ."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context

from ser_core.analysis import Analysis
from ser_core.audio.waveform import join
from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_core.emotions import EMOTIONS, UNKNOWN_COLOR
from ser_core.errors import AudioError
from ser_core.export.json import to_dict
from ser_ui import comparison, corrections, text, timeline, words
from ser_ui.layout import ANNOUNCE, empty_on_failure, html, script, template
from ser_ui.model_cache import ModelCache
from ser_ui.server import limits
from ser_ui.server.limits import DECODE_LIMITS
from ser_ui.words import Phrases

NAME = "compare"
SCRIPTS = (*timeline.VIEW, "shared/json_lines", "compare/lanes", "compare/session", "compare/start")
MIN_MODELS, MAX_MODELS = 2, 6  # in a comparison
DEFAULT_MODELS = 3  # chosen when the page opens
CONCURRENCY = 1  # comparisons at once; single recordings do not wait for them
QUEUE = "compare"  # their concurrency id
# Adds the time of the request as the last input, because requests may arrive in another order.
WITH_TIME = "(...inputs) => [...inputs.slice(0, -1), performance.now()]"

ProgressCallback = Callable[[str, float, float], None]  # model, seconds analysed, seconds in total


@dataclass(frozen=True)
class Comparison:
    """A visitor's comparison, as the server keeps it."""

    requested_ms: float  # since the page was opened
    path: str  # of the audio file, which is deleted after a while
    source: str
    analyses: Mapping[str, Analysis]  # by model, also of models that are not chosen any more
    models: tuple[str, ...]  # those that are chosen


class SupersededError(Exception):
    """A later request of the same page replaces this one."""


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    models: gr.CheckboxGroup
    file_input: gr.File
    answer: gr.HTML
    lanes: gr.HTML
    comparison: gr.State
    requested: gr.Number


def build(cache: ModelCache) -> None:
    """The tab's content. If the server has a single model, it explains how to add another one."""
    try:
        models = cache.models()
    except BundleError:
        html(words.key("page.models"))  # shows why the models cannot be read
        return
    if len(models) < MIN_MODELS:
        html(words.key("page.compare"), elem_id="agreement")
        return
    parts = _lay_out(models)
    _connect(parts, cache)


def content(cache: ModelCache, phrases: Phrases) -> str:
    """The tab's text before a comparison, in one language."""
    try:
        models = cache.models()
    except BundleError:
        return ""
    return (
        text.compare_welcome(phrases)
        if len(models) >= MIN_MODELS
        else text.single_model(models[0].name, phrases)
    )


def _lay_out(models: Sequence[Bundle]) -> Parts:
    """Creates the tab's components, from top to bottom."""
    names = [model.name for model in models]
    with gr.Row(equal_height=True):
        model_choice = gr.CheckboxGroup(
            names,
            value=names[:DEFAULT_MODELS],
            label=words.key("compare.models"),
            info=words.key("compare.how_many"),
            elem_id="compared-models",
        )
        with gr.Column(min_width=260):
            file_input = gr.File(label=words.key("compare.drop"), height=170, elem_id="drop-compared")
    answer = html(words.key("page.compare"), elem_id="agreement", js_on_load=ANNOUNCE)
    lanes = html(
        html_template=template("compare/compare"),
        elem_id="comparison",
        js_on_load=script(*SCRIPTS),
        emotions=[asdict(emotion) for emotion in EMOTIONS],
        unknown_color=UNKNOWN_COLOR,
        formats=list(comparison.FORMATS),
        reply="",
    )
    return Parts(model_choice, file_input, answer, lanes, gr.State(), gr.Number(visible=False))


def _connect(parts: Parts, cache: ModelCache) -> None:
    """Compares each recording as soon as it arrives, and again when other models are chosen.

    A comparison ends as soon as a later one of the same page waits. Gradio's `cancels` cannot do that: it
    fails (422) if the page does not know the event's number yet.
    """
    blocks = Context.root_block

    def compare(
        path: str | None,
        models: list[str],
        comparison: Comparison | None,
        requested_ms: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ):
        def superseded() -> bool:
            waiting = limits.waiting_events(blocks._queue, QUEUE, request.session_hash)
            return any(event.data.data[-1] > requested_ms for event in waiting)

        late = comparison and comparison.requested_ms > requested_ms
        if path and not late:
            comparison = Comparison(requested_ms, path, Path(path).name, {}, ())
        if not comparison or late:
            yield gr.skip()  # otherwise Gradio would empty the components
            return
        comparison = replace(comparison, requested_ms=requested_ms, models=tuple(models))
        yield from _compare(parts, cache, comparison, superseded, words.for_request(request), progress)

    def save(comparison: Comparison | None, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return gr.update(
            reply=file_reply(comparison, int(event.number), event.format, words.for_request(request))
        )

    event = gr.on(
        [parts.file_input.upload, parts.models.input],
        compare,
        [parts.file_input, parts.models, parts.comparison, parts.requested],
        [parts.file_input, parts.answer, parts.lanes, parts.comparison],
        js=WITH_TIME,
        trigger_mode="multiple",
        show_progress="minimal",
        show_progress_on=parts.answer,
        concurrency_limit=CONCURRENCY,
        concurrency_id=QUEUE,
        api_visibility="private",
    )
    empty_on_failure(event, parts.file_input)
    parts.lanes.save(save, parts.comparison, parts.lanes, show_progress="hidden", api_visibility="private")


def _compare(
    parts: Parts,
    cache: ModelCache,
    compared: Comparison,
    superseded: Callable[[], bool],
    phrases: Phrases,
    progress: gr.Progress,
) -> Iterator[dict]:
    """Updates of the page during a comparison; none once it is superseded."""
    yield {
        parts.answer: text.listening(compared.source, phrases),
        parts.lanes: "",
        parts.file_input: None,
        parts.comparison: compared,
    }
    if not MIN_MODELS <= len(compared.models) <= MAX_MODELS:
        yield {parts.answer: text.choose_models(phrases)}
        return

    def on_progress(model: str, seconds: float, total: float) -> None:
        if superseded():
            raise SupersededError
        progress((int(seconds), ceil(total)), unit=phrases("number.seconds"), desc=model)

    latest = compared
    try:
        for lines, latest in results(cache, compared, on_progress):
            yield {parts.lanes: lines, parts.comparison: latest}
    except AudioError as error:
        yield {parts.answer: text.problem(phrases.error(error), compared.source, phrases)}
        return
    except SupersededError:
        return
    yield {parts.answer: text.comparison(analyses_of(latest), phrases)}


def results(
    cache: ModelCache, compared: Comparison, on_progress: ProgressCallback
) -> Iterator[tuple[str, Comparison]]:
    """The results so far, after each model: lines of JSON for the page, and the updated comparison.

    Lines are only ever appended, so that Gradio sends no more than the new ones. A model whose analysis is
    known does not run again. The line of a model that cannot be loaded has the reason. Raises AudioError.
    """
    warnings: list[str] = []
    waveform = join(cache.own.read(compared.path, DECODE_LIMITS, warnings))
    sound = timeline.sound(compared.path, waveform, compared.source)
    lines = _json_line(sound | {"models": compared.models, "run": secrets.token_hex(4)})
    yield lines, compared
    for number, name in enumerate(compared.models):
        if name not in compared.analyses:
            try:
                recognizer = cache.get(name)
            except BundleError as error:
                lines += _json_line({"number": number, "problem": text.sentence(error.message)})
                yield lines, compared
                continue
            analysis = recognizer.analyze(
                waveform,
                compared.source,
                lambda _, seconds, name=name: on_progress(name, seconds, waveform.duration_s),
                warnings,
            )
            compared = replace(compared, analyses={**compared.analyses, name: analysis})
        done = compared.models[: number + 1]
        so_far = [compared.analyses[other] for other in done if other in compared.analyses]
        lines += _json_line(
            {"number": number, **_result_fields(compared.analyses[name]), **_agreement_fields(so_far)}
        )
        yield lines, compared


def analyses_of(compared: Comparison) -> list[Analysis]:
    """The analyses of the chosen models, without those that could not be loaded."""
    return [compared.analyses[name] for name in compared.models if name in compared.analyses]


def file_reply(compared: Comparison | None, number: int, format_: str, phrases: Phrases) -> str:
    """The reply to request `number` for a file of the comparison."""
    if not compared or not analyses_of(compared) or format_ not in comparison.FORMATS:
        return timeline.reply(number, "problem", words=phrases("compare.nothing_saved"))
    name = f"{corrections.sound_name(compared.source)}.models.{format_}"
    return timeline.reply(number, "file", name=name, text=comparison.FORMATS[format_](analyses_of(compared)))


def _result_fields(analysis: Analysis) -> dict[str, Any]:
    """The result of one model."""
    fields = to_dict(analysis)
    return {key: fields[key] for key in ("model", "segments", "summary")}


def _agreement_fields(analyses: Sequence[Analysis]) -> dict[str, Any]:
    """How far the models agree so far: on each segment, and on the whole recording."""
    whole = comparison.agreement([analysis.summary.label for analysis in analyses])
    each = comparison.agreements(analyses)
    return {"agreements": [asdict(one) for one in each], "whole": asdict(whole)}


def _json_line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
