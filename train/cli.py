"""The commands: corpora, fit, crossval, evaluate, report, export."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from ser_core.bundle import BundleError
from train import corpora as corpora_module
from train import evaluate as evaluation
from train import export as exports
from train import fit as fitting
from train import protocols, report
from train import recipe as recipes
from train import splits as splitting
from train.corpora import CORPORA, CorpusError
from train.fit import RunError
from train.recipe import RecipeError
from train.splits import LeakError, Split

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train and measure speech emotion models.")
ERRORS = (CorpusError, RecipeError, LeakError, RunError, BundleError)

Data = Annotated[Path, typer.Option(help="folder of the corpora, each with a metadata.csv")]
RecipeFile = Annotated[Path, typer.Option(help="a TOML file of train/recipes")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
DATA = Path("../shared/data")


@app.callback()
def main() -> None:
    """Errors that a person can mend are one line; progress goes to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


@app.command()
def corpora(data: Data = DATA) -> None:
    """What is there: clips, speakers and classes of each corpus."""
    with _readable_errors():
        clips = corpora_module.read(data)
        for corpus, labels in corpora_module.classes_of(clips).items():
            own = [clip for clip in clips if clip.corpus == corpus]
            speakers = len({clip.speaker for clip in own})
            counts = ", ".join(f"{label} {sum(clip.emotion == label for clip in own)}" for label in labels)
            typer.echo(f"{corpus}: {len(own)} clips, {speakers} speakers, {own[0].language}: {counts}")


@app.command()
def fit(
    recipe: RecipeFile,
    data: Data = DATA,
    split: Annotated[
        str, typer.Option(help="everyone, ravdess_fold0 … ravdess_fold4, or without_CORPUS")
    ] = "ravdess_fold0",
    out: Annotated[Path | None, typer.Option(help="the run's folder; default runs/RECIPE/SPLIT")] = None,
    device: Device = "auto",
) -> None:
    """Trains one model; the same command again goes on after the last finished epoch."""
    with _readable_errors():
        chosen = recipes.read(recipe)
        folder = out or Path("runs") / chosen.name / split
        metrics = fitting.fit(chosen, _split(split, data, chosen.corpora), folder, device)
        typer.echo(json.dumps(metrics, indent=2))


@app.command()
def crossval(
    recipe: RecipeFile,
    protocol: Annotated[str, typer.Option(help=" or ".join(protocols.PROTOCOLS))] = "ravdess_5fold",
    data: Data = DATA,
    out: Annotated[Path | None, typer.Option(help="default runs/RECIPE/PROTOCOL")] = None,
    device: Device = "auto",
) -> None:
    """Trains and tests every fold of a protocol; finished folds are not run again."""
    if protocol not in protocols.PROTOCOLS:
        raise typer.BadParameter(f"--protocol is {' or '.join(protocols.PROTOCOLS)}")
    with _readable_errors():
        chosen = recipes.read(recipe)
        clips = corpora_module.read(data, chosen.corpora)
        folder = out or Path("runs") / chosen.name / protocol
        typer.echo(json.dumps(protocols.crossval(chosen, protocol, clips, folder, device), indent=2))  # type: ignore[arg-type]


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="a name under checkpoints/, or a bundle's folder")],
    data: Data = DATA,
    corpus: Annotated[list[str], typer.Option(help="corpora to test on")] = list(CORPORA),  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="folder for predictions and confusion matrix")] = None,
) -> None:
    """Measures a checkpoint on whole corpora; says so where it was trained on them."""
    with _readable_errors():
        predictions, seen = exports.evaluate(checkpoint, corpora_module.read(data, corpus))
        if seen:
            typer.echo(f"Not a test: {checkpoint} was trained on {', '.join(seen)}", err=True)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            evaluation.write(predictions, out / "predictions.csv")
            report.confusion_files(predictions, out, checkpoint)
        typer.echo(json.dumps(evaluation.measure(predictions) | {"trained_on": seen}, indent=2))


@app.command("report")
def compare(runs: Annotated[list[Path], typer.Argument(help="folders that fit or crossval made")]) -> None:
    """One Markdown table of several runs."""
    with _readable_errors():
        typer.echo(report.table(runs))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="the run whose weights to ship")],
    checkpoint: Annotated[Path, typer.Argument(help="for example checkpoints/default")],
    measured: Annotated[
        list[Path], typer.Option(help="crossval folders whose results the model card quotes")
    ] = [],  # noqa: B006
) -> None:
    """Makes a checkpoint for the app: weights, bundle.json, metrics.json, model card."""
    with _readable_errors():
        bundle = exports.export(run, checkpoint, measured)
        typer.echo(
            f"{checkpoint}: {bundle.parameters / 1e6:.1f} M parameters, {bundle.size_bytes / 1e6:.1f} MB"
        )


def _split(name: str, data: Path, corpora: tuple[str, ...]) -> Split:
    clips = corpora_module.read(data, corpora)
    if name == "everyone":
        return splitting.everyone(clips)
    every = {
        split.name: split for protocol in protocols.PROTOCOLS for split in protocols.splits(protocol, clips)
    }
    if name not in every:
        raise RunError(f"--split is everyone or one of {', '.join(every)}")
    return every[name]


class _readable_errors:  # noqa: N801 (reads as a statement)
    """Turns errors that a person can mend into one line and exit code 1."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ERRORS):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
