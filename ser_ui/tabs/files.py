"""The tab "Files": a folder's worth of recordings in one table, filled as the results come."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ser_core.analysis import Analysis
from ser_core.emotions import BY_NAME, UNKNOWN_COLOR
from ser_core.export import ONE_RECORDING, WRITERS
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer
from ser_ui import text, timeline, words
from ser_ui.layout import empty_on_failure, html, script
from ser_ui.server.limits import DECODE_LIMITS
from ser_ui.shelf import Shelf
from ser_ui.theme import ASSETS
from ser_ui.words import Phrases

NAME = "files"
CONCURRENCY = 2  # folders at once; single recordings do not wait for them
SOURCES = ASSETS / "files"
FORMATS = tuple(name for name in WRITERS if name not in ONE_RECORDING)  # that hold several recordings
SCRIPTS = (*("shared/words", "shared/canvas", "shared/files", "shared/json_lines"), "files/files")
FILE = "emotions"  # what saved results are called


def build(shelf: Shelf) -> None:
    """The tab's content; the server's own model analyses what is dropped, one file after the other."""
    recognizer = shelf.own
    alike = gr.Checkbox(label=words.key("files.alike"), info=words.key("files.alike_info"))
    dropped = gr.File(file_count="multiple", label=words.key("files.drop"), height=170, elem_id="drop-files")
    table = html(
        html_template=(SOURCES / "files.html").read_text(encoding="utf-8"),
        elem_id="files",
        js_on_load=script(*SCRIPTS),
        emotions=[asdict(BY_NAME[label]) for label in recognizer.bundle.labels],
        unknown_color=UNKNOWN_COLOR,
        formats=FORMATS,
        reply="",
    )
    found = gr.State()

    def analyse(paths: list[str], together: bool, request: gr.Request) -> Iterator[dict]:
        for lines, analyses in results(recognizer, paths, words.of(request), together):
            yield {table: lines, found: analyses, dropped: None}

    def save(analyses: Sequence[Analysis] | None, event: gr.EventData, request: gr.Request) -> dict:
        return gr.update(reply=saved(analyses, int(event.number), event.format, words.of(request)))

    running = dropped.upload(
        analyse,
        [dropped, alike],
        [table, found, dropped],
        show_progress="hidden",
        concurrency_limit=CONCURRENCY,
        concurrency_id="files",
        api_visibility="private",
    )
    empty_on_failure(running, dropped)
    table.cancel(None, cancels=running, api_visibility="private")
    table.save(save, found, table, show_progress="hidden", api_visibility="private")


def results(
    recognizer: Recognizer, paths: Sequence[str], phrases: Phrases, alike: bool = False
) -> Iterator[tuple[str, list[Analysis]]]:
    """All that is known so far, after each file: lines of JSON for the page, and the analyses.

    Files recorded `alike` are one session: all are heard first, then each is judged with the others.
    Lines only ever follow, so that Gradio sends no more than what is new.
    """
    names = [Path(path).name for path in paths]
    lines = _line({"files": names, "run": secrets.token_hex(4)})
    analyses: list[Analysis] = []
    session = Session() if alike and recognizer.runtime.adapts else None
    yield lines, analyses
    if session:
        for number, path in enumerate(paths):
            recognizer.analyze_file(Path(path), limits=DECODE_LIMITS, session=session)
            lines += _line({"number": number, "state": "heard"})
            yield lines, analyses
        session.settle()
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        analyses.append(recognizer.analyze_file(Path(path), name, DECODE_LIMITS, session=session))
        lines += _line({"number": number, **_row(analyses[-1], path, phrases)})
        yield lines, analyses
    yield lines + _line({"done": True}), analyses


def saved(analyses: Sequence[Analysis] | None, number: int, format_: str, phrases: Phrases) -> str:
    """The reply to a wish for a file of all results."""
    if not analyses or format_ not in FORMATS:
        return timeline.reply(number, "problem", words=phrases("files.nothing"))
    return timeline.reply(number, "file", name=f"{FILE}.{format_}", text=WRITERS[format_](analyses))


def _row(analysis: Analysis, path: str, phrases: Phrases) -> dict[str, Any]:
    """What the table says of one recording."""
    if analysis.error:
        return {
            "error": {"code": analysis.error.code, "message": text.sentence(phrases.error(analysis.error))}
        }
    seconds = text.speaking_time(analysis.segments)
    summary = analysis.summary
    return {
        "label": summary.label,
        "probabilities": {name: round(share, 4) for name, share in summary.probabilities.items()},
        "confidence": round(summary.confidence, 4),
        "duration": round(analysis.duration, 3),
        "speech": round(sum(seconds.values()), 3),
        "seconds": {label: round(length, 3) for label, length in seconds.items()},
        "audio": f"gradio_api/file={quote(path)}",
    }


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n"
