"""The tab "Files": several recordings in one table, which is filled as results arrive."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ser_core.analysis import Analysis, speaking_time
from ser_core.audio import faults
from ser_core.emotions import BY_NAME, UNKNOWN_COLOR
from ser_core.export import ONE_RECORDING, WRITERS
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import ONE_VOICE, VoiceOptions
from ser_ui import text, timeline, words
from ser_ui.layout import empty_on_failure, html, script
from ser_ui.model_cache import ModelCache
from ser_ui.server.limits import DECODE_LIMITS
from ser_ui.theme import ASSETS
from ser_ui.words import Phrases

NAME = "files"
CONCURRENCY = 2  # uploads of several files analysed at once; single recordings do not wait for them
SOURCES = ASSETS / "files"
FORMATS = tuple(name for name in WRITERS if name not in ONE_RECORDING)  # for several recordings
SCRIPTS = (*("shared/words", "shared/canvas", "shared/files", "shared/json_lines"), "files/files")
FILE = "emotions"  # name of saved results, without extension


def build(cache: ModelCache) -> None:
    """The tab's content. The server's own model analyses the files one after the other."""
    recognizer = cache.own
    alike_input = gr.Checkbox(label=words.key("files.alike"), info=words.key("files.alike_info"))
    label = words.key("files.drop")
    file_input = gr.File(file_count="multiple", label=label, height=170, elem_id="drop-files")
    table = html(
        html_template=(SOURCES / "files.html").read_text(encoding="utf-8"),
        elem_id="files",
        js_on_load=script(*SCRIPTS),
        emotions=[asdict(BY_NAME[label]) for label in recognizer.bundle.labels],
        unknown_color=UNKNOWN_COLOR,
        formats=FORMATS,
        reply="",
    )
    analyses_state = gr.State()

    def analyse(paths: list[str], alike: bool, request: gr.Request) -> Iterator[dict]:
        for lines, analyses in results(recognizer, paths, words.for_request(request), alike):
            yield {table: lines, analyses_state: analyses, file_input: None}

    def save(analyses: Sequence[Analysis] | None, event: gr.EventData, request: gr.Request) -> dict:
        return gr.update(
            reply=file_reply(analyses, int(event.number), event.format, words.for_request(request))
        )

    event = file_input.upload(
        analyse,
        [file_input, alike_input],
        [table, analyses_state, file_input],
        show_progress="hidden",
        concurrency_limit=CONCURRENCY,
        concurrency_id="files",
        api_visibility="private",
    )
    empty_on_failure(event, file_input)
    table.cancel(None, cancels=event, api_visibility="private")
    table.save(save, analyses_state, table, show_progress="hidden", api_visibility="private")


def results(
    recognizer: Recognizer, paths: Sequence[str], phrases: Phrases, alike: bool = False
) -> Iterator[tuple[str, list[Analysis]]]:
    """The results so far, after each file: lines of JSON for the page, and the analyses.

    With `alike` (recorded alike), the files form one session: all are read once before each is analysed with
    the others. Lines are only ever appended, so that Gradio sends no more than the new ones.
    """
    names = [Path(path).name for path in paths]
    lines = _json_line({"files": names, "run": secrets.token_hex(4)})
    analyses: list[Analysis] = []
    session = Session() if alike and recognizer.runtime.adapts else None
    options = ONE_VOICE if alike else VoiceOptions()
    yield lines, analyses
    if session:
        for number, path in enumerate(paths):
            recognizer.analyze_file(Path(path), limits=DECODE_LIMITS, session=session)
            lines += _json_line({"number": number, "state": "heard"})
            yield lines, analyses
        session.settle()
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        analyses.append(
            recognizer.analyze_file(Path(path), name, DECODE_LIMITS, session=session, options=options)
        )
        lines += _json_line({"number": number, **_row(analyses[-1], path, phrases)})
        yield lines, analyses
    yield lines + _json_line({"done": True}), analyses


def file_reply(analyses: Sequence[Analysis] | None, number: int, format_: str, phrases: Phrases) -> str:
    """The reply to request `number` for a file of all results."""
    if not analyses or format_ not in FORMATS:
        return timeline.reply(number, "problem", words=phrases("files.nothing"))
    return timeline.reply(number, "file", name=f"{FILE}.{format_}", text=WRITERS[format_](analyses))


def _row(analysis: Analysis, path: str, phrases: Phrases) -> dict[str, Any]:
    """The table's row for one recording, as JSON-ready values."""
    if analysis.error:
        return {
            "error": {"code": analysis.error.code, "message": text.sentence(phrases.error(analysis.error))}
        }
    seconds = speaking_time(analysis.segments)
    summary = analysis.summary
    return {
        "label": summary.label,
        "probabilities": {name: round(share, 4) for name, share in summary.probabilities.items()},
        "confidence": round(summary.confidence, 4),
        "duration": round(analysis.duration, 3),
        "speech": round(sum(seconds.values()), 3),
        "seconds": {label: round(length, 3) for label, length in seconds.items()},
        "faults": _faults(analysis, phrases),
        "audio": f"gradio_api/file={quote(path)}",
    }


def _faults(analysis: Analysis, phrases: Phrases) -> list[str]:
    """What is missing of a recording, or was chosen from it, in words."""
    warnings = analysis.quality.warnings if analysis.quality else ()
    return [
        text.sentence(phrases.warning(warning))
        for warning in warnings
        if warning.partition(":")[0] in faults.NAMES
    ]


def _json_line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
