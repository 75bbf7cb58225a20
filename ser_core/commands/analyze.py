"""The command `analyze`: analyses recordings and writes the results.

Modules that only the command needs are imported in its functions, as in `ser_core.commands.cli`.
"""

import errno
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
    check_folder,
    check_writable,
    load,
    say,
    stop,
    write,
    writing,
)
from ser_core.commands.voices import ONE, Channels, Voices, described, options_of

if TYPE_CHECKING:
    from ser_core.analysis import Analysis
    from ser_core.checkpoint.bundle import Bundle
    from ser_core.commands.inputs import Input
    from ser_core.commands.notes import Notes
    from ser_core.errors import AudioError
    from ser_core.recognition.recognizer import Recognizer
    from ser_core.recognition.recording import Progress, VoiceOptions

NOT_WRITTEN = "not_written"  # code of a recording whose result file cannot be written
HOUR_S = 3600
SHORT_S = 15  # shorter recordings hold little information on a voice; from MANY of them on, HINT is printed
MANY = 10
MAX_VERDICTS = 8  # voices of a recording whose verdicts are said on one line
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
    voices: Voices = None,
    channels: Channels = None,
) -> None:
    """Recognises emotions in recordings: results go to stdout or to --out, progress to stderr.

    TextGrid, EAF, Audacity labels and WebVTT hold one recording per file: for several recordings, name a
    folder with --out. In these formats a recording that cannot be read gets no file. With --resume, a run
    that was stopped is continued: only recordings that are not done, or have changed since, are analysed,
    each from its start. Exit code: 0 all good, 1 some recordings could not be read or their result not
    written, 2 usage.
    """
    from ser_core import export
    from ser_core.commands import inputs
    from ser_core.export import files

    for kind, value, choices in (
        ("format", format_, export.WRITERS),
        ("device", device, DEVICES),
        ("precision", precision, PRECISIONS),
        ("runtime", runtime, RUNTIMES),
    ):
        if value not in choices:
            stop(f"no {kind} is called {value!r}; there are {', '.join(choices)}")
    if resume and out is None:
        stop("--resume needs --out: what went to stdout is not known any more")
    if alike and one_voice:
        stop("--alike is for several voices, --one-voice for one in each folder: give one of them")
    if resume and (alike or one_voice):
        option = "--alike" if alike else "--one-voice"
        stop(f"--resume cannot go with {option}: each result depends on all recordings")
    if (alike or one_voice) and (voices not in (None, ONE) or channels not in (None, "mix")):
        option = "--alike" if alike else "--one-voice"
        stop(f"{option} judges all that is said in one session: voices cannot be told apart with it")
    options = options_of(ONE if alike or one_voice else voices, channels)
    expanded = inputs.expand(paths)
    targets = _targets(out, [item.path for item in expanded.items], export.EXTENSIONS.get(format_, format_))
    in_folder = out is not None and files.is_folder(out)
    items = _writable(expanded.items, targets) if in_folder else expanded.items
    one_each = format_ in export.ONE_RECORDING
    if one_each and len(set(targets)) < len(items):
        stop(f"{format_} holds one recording a file, and there are {len(items)}: name a folder with --out")
    recognizer = load(model, device, precision, runtime)
    session_key = os.path.dirname if one_voice else (lambda path: "") if alike else None
    settings = {"format": format_, "runtime": runtime, "precision": precision, **described(options)}
    settings |= {"judged": "together"} if session_key else {}
    notes = _open_notes(Path(out), targets, settings, recognizer.bundle, resume) if out else None
    finished = _finished(notes, items, targets if in_folder else None) if notes else {}
    failed, short_count, collected = False, 0, []
    for item, target, analysis in zip(
        items, targets, _analyses(recognizer, items, finished, session_key, options), strict=True
    ):
        failed = failed or bool(analysis.error)
        short_count += not analysis.error and analysis.duration < SHORT_S
        unwritten = item.error is not None and item.error.code == NOT_WRITTEN
        if not in_folder:
            collected.append(analysis)
        elif not (item.path in finished or unwritten or (one_each and analysis.error)):
            # A file of one recording without segments would look like no speech.
            unwritten = not _write_result(target, export.text_of(format_, [analysis], target), item.path)
            failed = failed or unwritten
        if notes and item.path not in finished and not item.error and not unwritten:
            with writing(notes.path):
                notes.add(item.path, replace(analysis, segments=()) if in_folder else analysis)
    if not in_folder and not (one_each and failed):
        write(targets[0], export.text_of(format_, collected, targets[0]))
    if notes:
        notes.end(keep=resume)
    for remark in expanded.remarks:
        say(remark)
    if short_count >= MANY and not session_key and recognizer.runtime.adapts:
        say(HINT)
    raise typer.Exit(SOME_FAILED if failed else 0)


def _targets(out: str | None, sources: Sequence[str], extension: str) -> Sequence[Path | None]:
    """The output file of each recording, None for stdout. Ends the command if one cannot be written."""
    from ser_core.export import files

    if out is None:
        return [None] * len(sources)
    targets = files.targets(out, sources, extension)
    recordings = {os.path.realpath(source) for source in sources}
    for target in dict.fromkeys(targets):
        if os.path.realpath(target) in recordings:
            stop(f"--out {target} would overwrite a recording")
    if files.is_folder(out):
        check_folder("--out", Path(out))
    else:
        check_writable("--out", Path(out))
    return targets


def _writable(items: "Sequence[Input]", targets: Sequence[Path | None]) -> "list[Input]":
    """`items`, with an error where the result file of one in the folder `--out` cannot be written."""
    from ser_core.export import files

    checked = []
    for item, target in zip(items, targets, strict=True):
        error = files.obstacle(target) if target and not item.error else None
        checked.append(replace(item, error=_not_written(target, error)) if target and error else item)
    return checked


def _write_result(target: Path | None, text: str, source: str) -> bool:
    """Writes the result of `source`; says why if it cannot be written. Ends the command if no file could."""
    from ser_core.export import files

    assert target
    try:
        files.write(target, text)
    except OSError as error:
        if error.errno in files.DRIVE_ERRORS:
            stop(f"--out {target} cannot be written: {error.strerror}")
        failure = _not_written(target, error)
        say(f"{source}: {failure.code}: {failure.message}")
        return False
    return True


def _not_written(target: Path, error: OSError) -> "AudioError":
    from ser_core.errors import AudioError

    mend = (
        "shorten the recording's name, or give --out the name of one file for all"
        if error.errno == errno.ENAMETOOLONG
        else "correct what is there"
    )
    return AudioError(NOT_WRITTEN, f"The result {target} cannot be written ({error.strerror}): {mend}.")


def _open_notes(
    out: Path, targets: Sequence[Path | None], settings: Mapping[str, str], bundle: "Bundle", resume: bool
) -> "Notes":
    """The notes of runs with the same `settings` into `out`: a hidden file in or beside it."""
    from ser_core import __version__
    from ser_core.commands.journal import JournalError
    from ser_core.commands.notes import Notes
    from ser_core.export import files

    model = f"{bundle.name} {bundle.version} {bundle.sha256[:16]}"
    heading = {**settings, "model": model, "ser_core": __version__}
    path = out / ".progress" if files.is_folder(str(out)) else files.hidden(out, "progress")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            notes = Notes(path, heading, resume)
        except JournalError as error:
            stop(f"--out {error.message}")
        if resume:
            files.remove_partials([target for target in targets if target])
    return notes


def _finished(
    notes: "Notes", items: Sequence["Input"], files: Sequence[Path | None] | None
) -> "dict[str, Analysis]":
    """Analyses of earlier runs by path. If each item has one of `files`, only items whose file exists."""
    finished = {}
    for index, item in enumerate(items):
        if item.error:
            continue
        analysis = notes.get(item.path)
        file = files[index] if files else None
        if analysis and (analysis.error or file is None or file.is_file()):
            finished[item.path] = analysis
    return finished


def _analyses(
    recognizer: "Recognizer",
    items: Sequence["Input"],
    finished: "Mapping[str, Analysis]",
    session_key: Callable[[str], str] | None,
    options: "VoiceOptions",
) -> Iterator["Analysis"]:
    """The analysis of each item; those that are not `finished` are computed and reported on stderr.

    `session_key` gives the session of a path. With it all recordings are read once before any is judged.
    """
    from ser_core.analysis import Analysis
    from ser_core.models.session import Session

    name, version = recognizer.bundle.name, recognizer.bundle.version
    done = f", {len(finished)} of them done before" if finished else ""
    say(f"{len(items)} to analyse with {name} {version} on {recognizer.device}{done}")
    readable = [item.path for item in items if not item.error and item.path not in finished]
    progress = _show_seconds if sys.stderr.isatty() else _report_hours()
    sessions: defaultdict[str, Session] = defaultdict(Session)

    def session_of(path: str) -> Session | None:
        return sessions[session_key(path)] if session_key else None

    if session_key and not recognizer.runtime.adapts:
        say(f"{name} judges each recording by itself, whatever is beside it")
    elif session_key:
        say("Hearing all of them once, then judging each with the others")
        for _ in recognizer.analyze_files(readable, progress=progress, session_of=session_of):
            pass
        for session in sessions.values():
            session.settle()
    results = recognizer.analyze_files(readable, progress=progress, session_of=session_of, options=options)
    for number, item in enumerate(items, start=1):
        if item.path in finished:
            yield finished[item.path]
            continue
        failure = Analysis(item.path, 0.0, name, version, error=item.error) if item.error else None
        analysis = failure or next(results)
        if analysis.error:
            say(f"{analysis.source}: {analysis.error.code}: {analysis.error.message}")
        else:
            say(f"[{number}/{len(items)}] {analysis.source}: {_verdict_on(analysis)}")
        yield analysis


def _verdict_on(analysis: "Analysis") -> str:
    """Label and confidence of a recording, or of those of its voices that speak longest."""
    if not analysis.segments:
        return analysis.summary.label
    if not analysis.has_voices:
        return f"{analysis.summary.label} {analysis.summary.confidence:.0%}"
    longest = sorted(analysis.voices, key=lambda voice: -voice.time)[:MAX_VERDICTS]
    said = [
        f"{voice.name} {voice.summary.label} {voice.summary.confidence:.0%}"
        for voice in analysis.voices
        if voice in longest
    ]
    more = len(analysis.voices) - len(said)
    return ", ".join([*said, f"{more} more voices"] if more else said)


def _show_seconds(source: str, seconds: float) -> None:
    from ser_core.export.text import utf8

    typer.echo(f"{CLEAR_LINE}{utf8(source)}: {seconds:.0f} s heard", err=True, nl=False)


def _report_hours() -> "Progress":
    """Progress where a line cannot be overwritten: one line per hour of audio."""
    reported_hours = 0

    def report(source: str, seconds: float) -> None:
        nonlocal reported_hours
        hours = int(seconds // HOUR_S)
        if hours > reported_hours:
            say(f"{source}: {hours} h heard")
        reported_hours = hours

    return report
