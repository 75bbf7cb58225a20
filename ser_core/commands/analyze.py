"""`python -m ser_core analyze`: recordings to results, once each.

What the command uses is imported in it, as in `ser_core.commands.cli`.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_core.commands.terminal import (
    CLEAR_LINE,
    SOME_FAILED,
    check_writable,
    load,
    say,
    stop,
    write,
    writing,
)

if TYPE_CHECKING:
    from ser_core.analysis import Analysis
    from ser_core.checkpoint.bundle import Bundle
    from ser_core.commands.inputs import Input
    from ser_core.commands.notes import Notes
    from ser_core.recognition.recognizer import Progress, Recognizer

HOUR_S = 3600
SHORT_S = 15  # recordings under this give a model little to know a voice by; MANY of them get a hint
MANY = 10
HINT = (
    "Each was judged by itself. Unfamiliar voices are heard rightly more often with --one-voice (each folder "
    "holds one voice) or --alike (one room and microphone, any voices), unless one emotion prevails."
)
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bfloat16")
RUNTIMES = ("torch", "onnx", "onnx-int8")


def analyze(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders and patterns.")],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A shipped checkpoint, or a folder.")
    ] = "default",
    format_: Annotated[
        str, typer.Option("--format", metavar="json|csv|textgrid|eaf|audacity|vtt|rttm|html")
    ] = "json",
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_DIR", help="A folder (or a name without extension) gets a file each, a file all."
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="|".join(DEVICES))] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run into the same --out was stopped.")
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            metavar="|".join(PRECISIONS), help="bfloat16: quicker where the CPU has it, less exact."
        ),
    ] = "float32",
    runtime: Annotated[
        str,
        typer.Option(metavar="|".join(RUNTIMES), help="ONNX needs no torch; `train export --onnx` first."),
    ] = "torch",
    one_voice: Annotated[
        bool,
        typer.Option(
            "--one-voice",
            help="As --alike, but each folder by itself: it holds one voice in one room.",
        ),
    ] = False,
    alike: Annotated[
        bool,
        typer.Option(
            "--alike",
            help="All were recorded alike, and no emotion prevails: they are judged with each other.",
        ),
    ] = False,
) -> None:
    """Which emotion sounds where in each recording: results on stdout or in --out, progress on stderr.

    TextGrid, EAF, Audacity labels and WebVTT hold one recording a file: give several a folder with --out.
    There a recording that cannot be read has no file. A run that was stopped, however, goes on when it is
    given again with --resume: only recordings that are not done, or were changed since, are analysed, each
    from its start. Exit code: 0 all good, 1 some recordings could not be read, 2 usage.
    """
    from ser_core import export
    from ser_core.commands import inputs
    from ser_core.export import files

    for kind, chosen, there in (
        ("format", format_, export.WRITERS),
        ("device", device, DEVICES),
        ("precision", precision, PRECISIONS),
        ("runtime", runtime, RUNTIMES),
    ):
        if chosen not in there:
            stop(f"no {kind} is called {chosen!r}; there are {', '.join(there)}")
    if resume and out is None:
        stop("--resume needs --out: what went to stdout is not known any more")
    if alike and one_voice:
        stop("--alike is for several voices, --one-voice for one in each folder: give one of them")
    if resume and (alike or one_voice):
        told = "--alike" if alike else "--one-voice"
        stop(f"--resume cannot go with {told}: each result depends on all recordings")
    expanded = inputs.expand(paths)
    items = expanded.items
    targets = _targets(out, [item.path for item in items], export.EXTENSIONS.get(format_, format_))
    one_each = format_ in export.ONE_RECORDING
    if one_each and len(set(targets)) < len(items):
        stop(f"{format_} holds one recording a file, and there are {len(items)}: name a folder with --out")
    recognizer = load(model, device, precision, runtime)
    shared = os.path.dirname if one_voice else (lambda path: "") if alike else None
    apart = out is not None and files.is_folder(out)
    work = {"format": format_, "runtime": runtime, "precision": precision}
    work |= {"judged": "together"} if shared else {}
    notes = _notes(Path(out), targets, work, recognizer.bundle, resume) if out else None
    known = _known(notes, items, targets if apart else None) if notes else {}
    failed, short, together = False, 0, []
    for item, target, analysis in zip(
        items, targets, _analyses(recognizer, items, known, shared), strict=True
    ):
        failed = failed or bool(analysis.error)
        short += not analysis.error and analysis.duration < SHORT_S
        if not apart:
            together.append(analysis)
        elif item.path not in known and not (one_each and analysis.error):  # that would say: nobody speaks
            write(target, export.WRITERS[format_]([analysis]))
        if notes and item.path not in known and not item.error:
            with writing(notes.path):
                notes.add(item.path, replace(analysis, segments=()) if apart else analysis)
    if not apart and not (one_each and failed):
        write(targets[0], export.WRITERS[format_](together))
    if notes:
        notes.end(keep=resume)
    for remark in expanded.remarks:
        say(remark)
    if short >= MANY and not shared and recognizer.runtime.adapts:
        say(HINT)
    raise typer.Exit(SOME_FAILED if failed else 0)


def _targets(out: str | None, sources: Sequence[str], extension: str) -> Sequence[Path | None]:
    """Where each recording's results go, None for stdout; refuses what could only fail or do harm later."""
    from ser_core.export import files

    if out is None:
        return [None] * len(sources)
    targets = files.targets(out, sources, extension)
    recordings = {os.path.realpath(source) for source in sources}
    for target in dict.fromkeys(targets):
        if os.path.realpath(target) in recordings:
            stop(f"--out {target} would overwrite a recording")
        check_writable("--out", target)
    return targets


def _notes(
    out: Path, targets: Sequence[Path | None], work: Mapping[str, str], bundle: "Bundle", resume: bool
) -> "Notes":
    """The notes of runs of the same `work` into `out`: a hidden file in the folder, or beside the file."""
    from ser_core import __version__
    from ser_core.commands.journal import JournalError
    from ser_core.commands.notes import Notes
    from ser_core.export import files

    model = f"{bundle.name} {bundle.version} {bundle.sha256[:16]}"
    heading = {**work, "model": model, "ser_core": __version__}
    path = out / ".progress" if files.is_folder(str(out)) else out.with_name(f".{out.name}.progress")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            notes = Notes(path, heading, resume)
        except JournalError as error:
            stop(f"--out {error.message}")
        if resume:
            files.sweep([target for target in targets if target])
    return notes


def _known(
    notes: "Notes", items: Sequence["Input"], files: Sequence[Path | None] | None
) -> "dict[str, Analysis]":
    """What is known of the items by their path; of those that have a file of their own, where it is there."""
    known = {}
    for number, item in enumerate(items):
        analysis = notes.get(item.path)
        file = files[number] if files else None
        if analysis and (analysis.error or file is None or file.is_file()):
            known[item.path] = analysis
    return known


def _analyses(
    recognizer: "Recognizer",
    items: Sequence["Input"],
    known: "Mapping[str, Analysis]",
    shared: Callable[[str], str] | None,
) -> Iterator["Analysis"]:
    """The analysis of each item, told about on stderr where it was not known.

    `shared` names the session of a path; then all are heard once before any is judged.
    """
    from ser_core.analysis import Analysis
    from ser_core.models.session import Session

    name, version = recognizer.bundle.name, recognizer.bundle.version
    done = f", {len(known)} of them done before" if known else ""
    say(f"{len(items)} to analyse with {name} {version} on {recognizer.device}{done}")
    readable = [item.path for item in items if not item.error and item.path not in known]
    progress = _show_seconds if sys.stderr.isatty() else _hourly()
    sessions: defaultdict[str, Session] = defaultdict(Session)

    def session_of(path: str) -> Session:
        return sessions[shared(path)] if shared else Session()

    if shared and not recognizer.runtime.adapts:
        say(f"{name} judges each recording by itself, whatever is beside it")
    elif shared:
        say("Hearing all of them once, then judging each with the others")
        for _ in recognizer.analyze_files(readable, progress=progress, session_of=session_of):
            pass
        for session in sessions.values():
            session.settle()
    found = recognizer.analyze_files(readable, progress=progress, session_of=session_of)
    for number, item in enumerate(items, start=1):
        if item.path in known:
            yield known[item.path]
            continue
        analysis = Analysis(item.path, 0.0, name, version, error=item.error) if item.error else next(found)
        if analysis.error:
            say(f"{analysis.source}: {analysis.error.code}: {analysis.error.message}")
        else:
            summary = analysis.summary
            sure = f" {summary.confidence:.0%}" if analysis.segments else ""
            say(f"[{number}/{len(items)}] {analysis.source}: {summary.label}{sure}")
        yield analysis


def _show_seconds(source: str, seconds: float) -> None:
    from ser_core.export.text import utf8

    typer.echo(f"{CLEAR_LINE}{utf8(source)}: {seconds:.0f} s heard", err=True, nl=False)


def _hourly() -> "Progress":
    """Tells of long recordings where a line cannot be written anew: one line an hour of sound."""
    told = 0

    def tell(source: str, seconds: float) -> None:
        nonlocal told
        hours = int(seconds // HOUR_S)
        if hours > told:
            say(f"{source}: {hours} h heard")
        told = hours

    return tell
