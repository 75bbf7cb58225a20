"""Commands of `ser-studio`, which is `python -m ser_core`.

`doctor` must run where half of the packages are broken, so what the other commands use is imported in them.
"""

import json
import os
import runpy
import sys
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from ser_core.commands import doctor as health
from ser_core.commands.analyze import analyze
from ser_core.commands.batch.command import batch
from ser_core.commands.listen import listen
from ser_core.commands.terminal import SOME_FAILED, say, stop, write
from ser_core.errors import how_to_install

app = typer.Typer(
    help="Which emotion sounds where in recorded speech.", no_args_is_help=True, add_completion=False
)


app.command()(analyze)
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
    from ser_core.checkpoint import bundle, catalogue
    from ser_core.models.registry import ARCHITECTURES

    if format_ not in ("text", "json"):
        stop(f"no format is called {format_!r}; there are text, json")
    if architectures:
        networks = list(map(_network, ARCHITECTURES))
        write(None, json.dumps(networks, indent=2) + "\n" if format_ == "json" else _table(networks))
        return
    try:
        shipped = [catalogue.described(found) for found in bundle.shipped()]
    except bundle.BundleError as error:
        say(f"{error.code}: {error.message}")
        raise typer.Exit(SOME_FAILED) from None
    if not shipped:
        say(f"no checkpoints in {bundle.CHECKPOINTS}")
    text = json.dumps(shipped, indent=2) + "\n" if format_ == "json" else "\n".join(map(_paragraph, shipped))
    write(None, text)


@app.command()
def page(
    model: Annotated[str, typer.Option(help="a name of `models`, or a checkpoint's folder")] = "default",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="the first that is tried; default 7860")
    ] = None,
) -> None:
    """Serves the page for this machine, on 127.0.0.1; GRADIO_SERVER_NAME names another address."""
    missing = [name for name in ("gradio", "websockets", "ser_ui") if find_spec(name) is None]
    if missing:
        stop(f"the page needs {missing[0]}, which is not installed: {how_to_install('page')}")
    if port is not None:
        os.environ["GRADIO_SERVER_PORT"] = str(port)
    sys.argv = ["ser-studio page", "--model", model]
    runpy.run_module("ser_ui", run_name="__main__")  # a program of its own: ser_core does not import it


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


def _network(architecture: str) -> dict[str, Any]:
    """An architecture's parameters with the eight emotions: all, and those published weights are for.

    The counts hold at any length of speech, the published one included.
    """
    from ser_core.emotions import LABELS
    from ser_core.models.registry import build

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
    from ser_core.checkpoint import catalogue

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
