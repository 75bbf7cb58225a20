"""Commands of `python -m ser_core`.

`doctor` must run where half of the packages are broken, so what the other commands use is imported in them.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ser_core import doctor as health
from ser_core.batch.command import batch
from ser_core.listen import listen
from ser_core.terminal import CLEAR_LINE, SOME_FAILED, check_writable, load, say, stop

if TYPE_CHECKING:
    from ser_core.analysis import Analysis
    from ser_core.bundle import Bundle
    from ser_core.inputs import Input
    from ser_core.notes import Notes
    from ser_core.recognizer import Recognizer

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
RUNTIMES = ("torch", "onnx", "onnx-int8")

app = typer.Typer(
    help="Which emotion sounds where in recorded speech.", no_args_is_help=True, add_completion=False
)


@app.command()
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
        typer.Option(metavar="|".join(PRECISIONS), help="float32 gives the same numbers on every machine."),
    ] = "auto",
    runtime: Annotated[
        str,
        typer.Option(metavar="|".join(RUNTIMES), help="ONNX needs no torch; `train export --onnx` first."),
    ] = "torch",
) -> None:
    """Which emotion sounds where in each recording: results on stdout or in --out, progress on stderr.

    TextGrid, EAF, Audacity labels and WebVTT hold one recording a file: give several a folder with --out.
    There a recording that cannot be read has no file. A run that was stopped, however, goes on when it is
    given again with --resume: only recordings that are not done, or were changed since, are analysed, each
    from its start. Exit code: 0 all good, 1 some recordings could not be read, 2 usage.
    """
    from ser_core import export, inputs
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
    items = inputs.expand(paths)
    targets = _targets(out, [item.path for item in items], export.EXTENSIONS.get(format_, format_))
    one_each = format_ in export.ONE_RECORDING
    if one_each and len(set(targets)) < len(items):
        stop(f"{format_} holds one recording a file, and there are {len(items)}: name a folder with --out")
    recognizer = load(model, device, precision, runtime)
    apart = out is not None and files.is_folder(out)
    notes = _notes(Path(out), targets, format_, recognizer.bundle, resume) if out else None
    known = _known(notes, items, targets if apart else None) if notes else {}
    failed, together = False, []
    for item, target, analysis in zip(items, targets, _analyses(recognizer, items, known), strict=True):
        failed = failed or bool(analysis.error)
        if not apart:
            together.append(analysis)
        elif item.path not in known and not (one_each and analysis.error):  # that would say: nobody speaks
            _write(target, export.WRITERS[format_]([analysis]))
        if notes and item.path not in known and not item.error:
            with _writing(notes.path):
                notes.add(item.path, replace(analysis, segments=()) if apart else analysis)
    if not apart and not (one_each and failed):
        _write(targets[0], export.WRITERS[format_](together))
    if notes:
        notes.end(keep=resume)
    raise typer.Exit(SOME_FAILED if failed else 0)


app.command()(batch)
app.command()(listen)


@app.command()
def models(
    format_: Annotated[str, typer.Option("--format", metavar="text|json")] = "text",
    architectures: Annotated[
        bool, typer.Option("--architectures", help="What can be trained, instead of what was.")
    ] = False,
) -> None:
    """The shipped checkpoints and how often they are right about speakers they have never heard."""
    from ser_core import bundle, catalogue
    from ser_core.models import ARCHITECTURES

    if format_ not in ("text", "json"):
        stop(f"no format is called {format_!r}; there are text, json")
    if architectures:
        networks = list(map(_network, ARCHITECTURES))
        _write(None, json.dumps(networks, indent=2) + "\n" if format_ == "json" else _table(networks))
        return
    try:
        shipped = [catalogue.described(found) for found in bundle.shipped()]
    except bundle.BundleError as error:
        say(f"{error.code}: {error.message}")
        raise typer.Exit(SOME_FAILED) from None
    if not shipped:
        say(f"no checkpoints in {bundle.CHECKPOINTS}")
    text = json.dumps(shipped, indent=2) + "\n" if format_ == "json" else "\n".join(map(_paragraph, shipped))
    _write(None, text)


@app.command()
def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend torchaudio's import.")] = False,
) -> None:
    """What is there and what is missing, one line each; exit code 1 if something needed is missing."""
    found = [health.repair_torchaudio()] if repair else health.checks()
    failed = False
    for check in found:
        typer.echo(check.line)
        failed = failed or (check.needed and not check.ok)
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
    out: Path, targets: Sequence[Path | None], format_: str, bundle: "Bundle", resume: bool
) -> "Notes":
    """The notes of runs into `out`: a hidden file in the folder, or beside the file."""
    from ser_core import __version__
    from ser_core.export import files
    from ser_core.journal import JournalError
    from ser_core.notes import Notes

    model = f"{bundle.name} {bundle.version} {bundle.sha256[:16]}"
    heading = {"format": format_, "model": model, "ser_core": __version__}
    path = out / ".progress" if files.is_folder(str(out)) else out.with_name(f".{out.name}.progress")
    with _writing(path):
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
    recognizer: "Recognizer", items: Sequence["Input"], known: "Mapping[str, Analysis]"
) -> Iterator["Analysis"]:
    """The analysis of each item, told about on stderr where it was not known."""
    from ser_core.analysis import Analysis

    name, version = recognizer.bundle.name, recognizer.bundle.version
    done = f", {len(known)} of them done before" if known else ""
    say(f"{len(items)} to analyse with {name} {version} on {recognizer.device}{done}")
    readable = [item.path for item in items if not item.error and item.path not in known]
    found = recognizer.analyze_files(readable, progress=_show_seconds if sys.stderr.isatty() else None)
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


def _write(target: Path | None, text: str) -> None:
    """Puts `text` in `target`, or on stdout; UTF-8 whatever the terminal's encoding."""
    from ser_core.export import files

    if target is None:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
        return
    with _writing(target):
        files.write(target, text)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Ends the command where what is done inside cannot be written."""
    try:
        yield
    except OSError as error:
        stop(f"--out {target} cannot be written: {error.strerror}")


def _network(architecture: str) -> dict[str, Any]:
    """An architecture's parameters with the eight emotions: all, and those published weights are for.

    The counts hold at any length of speech, the published one included.
    """
    from ser_core.emotions import LABELS
    from ser_core.models import build

    model = build(architecture, len(LABELS))
    pretrained = getattr(model, "encoder", getattr(model, "backbone", None))
    return {
        "name": architecture,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "pretrained_parameters": pretrained and sum(weights.numel() for weights in pretrained.parameters()),
        "features": model.features.kind,  # type: ignore[union-attr]
    }


def _table(networks: list[dict[str, Any]]) -> str:
    """Described architectures as text, a line each."""
    lines = [f"{'architecture':<37}{'parameters':>12}{'pretrained':>13}  features"]
    for network in networks:
        pretrained = f"{network['pretrained_parameters']:,}" if network["pretrained_parameters"] else "-"
        lines.append(
            f"{network['name']:<37}{network['parameters']:>12,}{pretrained:>13}  {network['features']}"
        )
    return "\n".join([*lines, ""])


def _paragraph(model: dict[str, Any]) -> str:
    """A described checkpoint as text."""
    from ser_core import catalogue

    accuracy = "not measured"
    if model["accuracy"]:
        low, high = model["accuracy"]["ci95"]
        mean = model["accuracy"]["mean"]
        accuracy = (
            f"{mean:.1f} % (95 % interval {low:.1f} to {high:.1f}), {catalogue.setting(**model['accuracy'])}"
        )
    rows = {
        "architecture": model["architecture"],
        "parameters": f"{model['parameters']:,}",
        "size": f"{model['size_bytes'] / 1e6:.1f} MB",
        "labels": ", ".join(model["labels"]),
        "accuracy": accuracy,
        "trained on": ", ".join(model["training_data"]) or "not stated",
        "licence": model["licence"] or "not stated",
    }
    lines = [f"  {name:<13}{value}" for name, value in rows.items()]
    return "\n".join([f"{model['name']} {model['version']}", *lines, ""])
