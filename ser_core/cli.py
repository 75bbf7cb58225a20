"""Commands of `python -m ser_core`.

`doctor` must run where half of the packages are broken, so what the other commands use is imported in them.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ser_core import doctor as health
from ser_core.listen import listen
from ser_core.terminal import CLEAR_LINE, SOME_FAILED, check_writable, load, say, stop

if TYPE_CHECKING:
    from ser_core.analysis import Analysis
    from ser_core.inputs import Input
    from ser_core.recognizer import Recognizer

DEVICES = ("auto", "cpu", "cuda")

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
) -> None:
    """Which emotion sounds where in each recording: results on stdout or in --out, progress on stderr.

    TextGrid, EAF, Audacity labels and WebVTT hold one recording a file: give several a folder with --out.
    There a recording that cannot be read has no file. Exit code: 0 all good, 1 some recordings could not be
    read, 2 usage.
    """
    from ser_core import export, inputs

    if format_ not in export.WRITERS:
        stop(f"no format is called {format_!r}; there are {', '.join(export.WRITERS)}")
    if device not in DEVICES:
        stop(f"no device is called {device!r}; there are {', '.join(DEVICES)}")
    items = inputs.expand(paths)
    targets = _targets(out, [item.path for item in items], export.EXTENSIONS.get(format_, format_))
    one_each = format_ in export.ONE_RECORDING
    if one_each and len(set(targets)) < len(items):
        stop(f"{format_} holds one recording a file, and there are {len(items)}: name a folder with --out")
    recognizer = load(model, device)
    failed = False
    results = zip(targets, _analyses(recognizer, items), strict=True)
    for target, group in groupby(results, key=lambda result: result[0]):
        analyses = [analysis for _, analysis in group]
        failures = [analysis for analysis in analyses if analysis.error]
        failed = failed or bool(failures)
        if not (one_each and failures):  # such a file would say that nobody speaks
            _write(target, export.WRITERS[format_](analyses))
    raise typer.Exit(SOME_FAILED if failed else 0)


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


def _analyses(recognizer: "Recognizer", items: Sequence["Input"]) -> Iterator["Analysis"]:
    """The analysis of each item, told about on stderr."""
    from ser_core.analysis import Analysis

    name, version = recognizer.bundle.name, recognizer.bundle.version
    say(f"{len(items)} to analyse with {name} {version} on {recognizer.device}")
    readable = [item.path for item in items if not item.error]
    found = recognizer.analyze_files(readable, progress=_show_seconds if sys.stderr.isatty() else None)
    for number, item in enumerate(items, start=1):
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
    try:
        files.write(target, text)
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
