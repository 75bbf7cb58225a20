"""The tab "Compare": one recording through several models, and where they disagree."""

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
from ser_ui.server import limits
from ser_ui.server.limits import DECODE_LIMITS
from ser_ui.shelf import Shelf
from ser_ui.words import Phrases

NAME = "compare"
SCRIPTS = (*timeline.VIEW, "shared/json_lines", "compare/lanes", "compare/session", "compare/start")
FEWEST, MOST = 2, 6  # models at once
CHOSEN = 3  # models at first
CONCURRENCY = 1  # comparisons at once; single recordings do not wait for them
QUEUE = "compare"  # that they wait in
# When the page asked, as the last input: what it sends may arrive in another order.
ASKED = "(...inputs) => [...inputs.slice(0, -1), performance.now()]"

Heard = Callable[[str, float, float], None]  # is told a model, and how many seconds of how many it heard


@dataclass(frozen=True)
class Compared:
    """What the server remembers of a visitor's comparison."""

    asked_ms: float  # since the page was opened
    path: str  # of the sound, as long as Gradio keeps it
    source: str
    found: Mapping[str, Analysis]  # by model, also those that are not shown any more
    shown: tuple[str, ...]  # models


class OvertakenError(Exception):
    """The same page wants something else compared."""


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    models: gr.CheckboxGroup
    dropped: gr.File
    answer: gr.HTML
    lanes: gr.HTML
    compared: gr.State
    asked: gr.Number


def build(shelf: Shelf) -> None:
    """The tab's content; with a single model it says how to get another."""
    try:
        models = shelf.models()
    except BundleError:
        html(words.key("page.models"))  # which says why there are none
        return
    if len(models) < FEWEST:
        html(words.key("page.compare"), elem_id="agreement")
        return
    parts = _lay_out(models)
    _listen(parts, shelf)


def content(shelf: Shelf, phrases: Phrases) -> str:
    """What the tab says before it compares, in one language."""
    try:
        models = shelf.models()
    except BundleError:
        return ""
    return text.compare(phrases) if len(models) >= FEWEST else text.one_model(models[0].name, phrases)


def _lay_out(models: Sequence[Bundle]) -> Parts:
    """Everything in the tab, from top to bottom."""
    names = [model.name for model in models]
    with gr.Row(equal_height=True):
        chosen = gr.CheckboxGroup(
            names,
            value=names[:CHOSEN],
            label=words.key("compare.models"),
            info=words.key("compare.how_many"),
            elem_id="compared-models",
        )
        with gr.Column(min_width=260):
            dropped = gr.File(label=words.key("compare.drop"), height=170, elem_id="drop-compared")
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
    return Parts(chosen, dropped, answer, lanes, gr.State(), gr.Number(visible=False))


def _listen(parts: Parts, shelf: Shelf) -> None:
    """Compare whatever arrives, by itself, and again when other models are chosen.

    A comparison ends as soon as a later one of the same page waits. Not by Gradio's `cancels`: it fails (422)
    where the page was not told an event's number yet.
    """
    blocks = Context.root_block

    def compare(
        path: str | None,
        models: list[str],
        compared: Compared | None,
        asked_ms: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ):
        def overtaken() -> bool:
            waiting = limits.waiting(blocks._queue, QUEUE, request.session_hash)
            return any(event.data.data[-1] > asked_ms for event in waiting)

        late = compared and compared.asked_ms > asked_ms
        if path and not late:
            compared = Compared(asked_ms, path, Path(path).name, {}, ())
        if not compared or late:
            yield gr.skip()  # without it, all that the page shows would be emptied
            return
        wanted = replace(compared, asked_ms=asked_ms, shown=tuple(models))
        yield from _compare(parts, shelf, wanted, overtaken, words.of(request), progress)

    def save(compared: Compared | None, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return gr.update(reply=saved(compared, int(event.number), event.format, words.of(request)))

    event = gr.on(
        [parts.dropped.upload, parts.models.input],
        compare,
        [parts.dropped, parts.models, parts.compared, parts.asked],
        [parts.dropped, parts.answer, parts.lanes, parts.compared],
        js=ASKED,
        trigger_mode="multiple",
        show_progress="minimal",
        show_progress_on=parts.answer,
        concurrency_limit=CONCURRENCY,
        concurrency_id=QUEUE,
        api_visibility="private",
    )
    empty_on_failure(event, parts.dropped)
    parts.lanes.save(save, parts.compared, parts.lanes, show_progress="hidden", api_visibility="private")


def _compare(
    parts: Parts,
    shelf: Shelf,
    compared: Compared,
    overtaken: Callable[[], bool],
    phrases: Phrases,
    progress: gr.Progress,
) -> Iterator[dict]:
    """What the page shows of a comparison while it goes on, and nothing more once it is overtaken."""
    yield {
        parts.answer: text.listening(compared.source, phrases),
        parts.lanes: "",
        parts.dropped: None,
        parts.compared: compared,
    }
    if not FEWEST <= len(compared.shown) <= MOST:
        yield {parts.answer: text.how_many(phrases)}
        return

    def heard(model: str, seconds: float, total: float) -> None:
        if overtaken():
            raise OvertakenError
        progress((int(seconds), ceil(total)), unit=phrases("number.seconds"), desc=model)

    known = compared
    try:
        for lines, known in results(shelf, compared, heard):
            yield {parts.lanes: lines, parts.compared: known}
    except AudioError as error:
        yield {parts.answer: text.problem(phrases.error(error), compared.source, phrases)}
        return
    except OvertakenError:
        return
    yield {parts.answer: text.comparison(shown(known), phrases)}


def results(shelf: Shelf, compared: Compared, heard: Heard) -> Iterator[tuple[str, Compared]]:
    """All that is known so far, after each model: lines of JSON for the page, and what to remember.

    Lines only ever follow, so that Gradio sends no more than what is new. A model whose analysis is known
    is not asked again; one that cannot be loaded is a line that says why. Raises AudioError.
    """
    waveform = join(shelf.own.read(compared.path, DECODE_LIMITS))
    sound = timeline.sound(compared.path, waveform, compared.source)
    lines = _line(sound | {"models": compared.shown, "run": secrets.token_hex(4)})
    yield lines, compared
    for number, name in enumerate(compared.shown):
        if name not in compared.found:
            try:
                recognizer = shelf.get(name)
            except BundleError as error:
                lines += _line({"number": number, "problem": text.sentence(error.message)})
                yield lines, compared
                continue
            found = recognizer.analyze(
                waveform,
                compared.source,
                lambda _, seconds, name=name: heard(name, seconds, waveform.duration_s),
            )
            compared = replace(compared, found={**compared.found, name: found})
        so_far = [compared.found[other] for other in compared.shown[: number + 1] if other in compared.found]
        lines += _line({"number": number, **_row(compared.found[name]), **_together(so_far)})
        yield lines, compared


def shown(compared: Compared) -> list[Analysis]:
    """The analyses of the models that are compared, without those that could not be loaded."""
    return [compared.found[name] for name in compared.shown if name in compared.found]


def saved(compared: Compared | None, number: int, format_: str, phrases: Phrases) -> str:
    """The reply to a wish for a file of the comparison."""
    if not compared or not shown(compared) or format_ not in comparison.FORMATS:
        return timeline.reply(number, "problem", words=phrases("compare.nothing_saved"))
    name = f"{corrections.sound_name(compared.source)}.models.{format_}"
    return timeline.reply(number, "file", name=name, text=comparison.FORMATS[format_](shown(compared)))


def _row(analysis: Analysis) -> dict[str, Any]:
    """What one model says."""
    told = to_dict(analysis)
    return {key: told[key] for key in ("model", "segments", "summary")}


def _together(analyses: Sequence[Analysis]) -> dict[str, Any]:
    """How far the models agree so far: on each segment, and on the whole recording."""
    whole = comparison.agreement([analysis.summary.label for analysis in analyses])
    each = comparison.agreements(analyses)
    return {"agreements": [asdict(found) for found in each], "whole": asdict(whole)}


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n"
