"""The commands: corpora, augment, fit, crossval, effects, evaluate, report, export."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ser_core.checkpoint.bundle import BundleError
from ser_core.models.pretrained import PretrainedError
from train import corpora as corpora_module
from train import recipe as recipes
from train.augment import sheet
from train.corpora import CORPORA, Clip, CorpusError
from train.corpora.splits import LeakError, SplitError
from train.data.cache import FeatureCache, default_folder
from train.errors import RunError
from train.export import checkpoint as exports
from train.export import onnx as onnx_export
from train.fitting import fit as fitting
from train.processes import is_first
from train.protocols import crossval as protocols
from train.protocols import effects as effect_runs
from train.recipe import RecipeError
from train.reports import compare as comparison
from train.reports import cross_corpus, report
from train.reports import evaluate as evaluation

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train and measure speech emotion models.")
ERRORS = (PretrainedError, CorpusError, RecipeError, SplitError, LeakError, RunError, BundleError)

Data = Annotated[Path, typer.Option(help="folder that holds the corpora")]
RecipeFile = Annotated[Path, typer.Option(help="a TOML file of train/recipes")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Cache = Annotated[
    Path | None, typer.Option(help="where features are kept; default SER_CACHE or ~/.cache/ser-studio")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="compute features anew, keep none")]
Devices = Annotated[int, typer.Option(min=1, help="processes on each machine, a GPU each where there are")]
Nodes = Annotated[int, typer.Option(min=1, help="machines that train together; see docs/training.md")]
DATA = Path("../shared/data")


@app.callback()
def main() -> None:
    """Sets up logging: progress goes to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


@app.command()
def corpora(
    folder: Annotated[
        Path | None, typer.Argument(help="folder that holds the corpora, or one of them; default --data")
    ] = None,
    data: Data = DATA,
) -> None:
    """Lists corpora with their clips, speakers, hours, classes, duplicates and problems.

    Exit code: 0 if all clips can be trained on, 1 if training would refuse some.
    """
    with _readable_errors():
        surveys, refused = [], False
        for path in corpora_module.find(folder or data):
            try:
                reading = corpora_module.load(path)
            except CorpusError as error:
                typer.echo(f"error: {error}", err=True)
                refused = True
                continue
            surveys.append(corpora_module.inspect(reading, _progress(reading.corpus)))
            typer.echo(corpora_module.describe(surveys[-1]))
            refused = refused or bool(surveys[-1].unreadable or surveys[-1].unusable)
        for line in corpora_module.describe_duplicates(corpora_module.duplicates_across(surveys)):
            typer.echo(f"in two corpora, {line}")
        if refused:
            raise typer.Exit(1)


@app.command()
def augment(
    clip: Annotated[Path, typer.Argument(help="a recording")],
    out: Annotated[Path, typer.Option(help="folder for the recordings and the figure")],
    recipe: Annotated[
        Path | None, typer.Option(help="shows its techniques and ranges; default every technique")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the random numbers")] = 0,
) -> None:
    """Writes one clip with each augmentation technique as WAV, and a figure of all as PNG."""
    with _readable_errors():
        augmentation = recipes.read(recipe).augmentation if recipe else sheet.EVERY_TECHNIQUE
        if not augmentation.of_clips:
            raise RecipeError(f"{recipe}: the recipe names no technique, such as [augmentation.awgn]")
        for path in sheet.write(clip, augmentation, out, seed):
            typer.echo(str(path))


@app.command()
def fit(
    recipe: RecipeFile,
    data: Data = DATA,
    split: Annotated[str, typer.Option(help=", ".join(protocols.SPLITS))] = "ravdess_fold0",
    out: Annotated[Path | None, typer.Option(help="the run's folder; default runs/RECIPE/SPLIT")] = None,
    device: Device = "auto",
    cache: Cache = None,
    no_cache: NoCache = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    """Trains one model; the same command again continues after the last finished epoch."""
    with _readable_errors():
        settings = recipes.read(recipe)
        clips = settings.clips(data)
        folder = out or Path("runs") / settings.name / protocols.folder_name(split)
        selected_split = protocols.split_named(split, clips, settings.seed)
        feature_cache = _cache(cache, no_cache)
        metrics = fitting.fit(settings, selected_split, folder, device, feature_cache, devices, nodes)
        if is_first():
            typer.echo(json.dumps(metrics, indent=2))


@app.command()
def crossval(
    recipe: RecipeFile,
    protocol: Annotated[str, typer.Option(help=", ".join(protocols.PROTOCOLS))] = "ravdess_5fold",
    data: Data = DATA,
    out: Annotated[Path | None, typer.Option(help="default runs/RECIPE/PROTOCOL")] = None,
    device: Device = "auto",
    cache: Cache = None,
    no_cache: NoCache = False,
    devices: Devices = 1,
    nodes: Nodes = 1,
) -> None:
    """Trains and tests every fold of a protocol; finished folds are not run again."""
    with _readable_errors():
        settings = recipes.read(recipe)
        clips = settings.clips(data)
        folder = out or Path("runs") / settings.name / protocols.folder_name(protocol)
        feature_cache = _cache(cache, no_cache)
        summary = protocols.crossval(settings, protocol, clips, folder, device, feature_cache, devices, nodes)
        if is_first():
            typer.echo(json.dumps(summary, indent=2))


@app.command()
def effects(
    recipe: RecipeFile,
    data: Data = DATA,
    split: Annotated[str, typer.Option(help=", ".join(protocols.SPLITS))] = "ravdess_fold0",
    out: Annotated[Path | None, typer.Option(help="default runs/RECIPE/effects_SPLIT")] = None,
    device: Device = "auto",
    cache: Cache = None,
    no_cache: NoCache = False,
) -> None:
    """Trains a recipe without augmentation techniques and with each one alone, and compares the runs."""
    with _readable_errors():
        settings = recipes.read(recipe)
        clips = settings.clips(data)
        selected_split = protocols.split_named(split, clips, settings.seed)
        folder = out or Path("runs") / settings.name / f"effects_{protocols.folder_name(split)}"
        runs = effect_runs.run(settings, selected_split, folder, device, _cache(cache, no_cache))
        comparison_rows = comparison.rows(runs)
        typer.echo(comparison.markdown(comparison_rows))
        comparison.files(comparison_rows, folder)


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="a name under checkpoints/, or a bundle's folder")],
    data: Data = DATA,
    corpus: Annotated[list[str], typer.Option(help="corpora to test on")] = list(CORPORA),  # noqa: B006
    out: Annotated[Path | None, typer.Option(help="folder for predictions and confusion matrix")] = None,
    cache: Cache = None,
    no_cache: NoCache = False,
) -> None:
    """Evaluates a checkpoint on corpora, separately and together; warns where it was trained on them."""
    with _readable_errors():
        clips = corpora_module.read(data, corpus)
        metrics, predictions = cross_corpus.measure(checkpoint, clips, _cache(cache, no_cache))
        if trained_on := metrics["trained_on"]:
            typer.echo(f"Not a test: {checkpoint} was trained on {', '.join(trained_on)}", err=True)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            evaluation.write(predictions, out / "predictions.csv")
            report.files(predictions, clips, out, checkpoint)
        typer.echo(json.dumps(metrics, indent=2))


@app.command("report")
def compare(
    runs: Annotated[list[Path], typer.Argument(help="folders that fit or crossval made")],
    out: Annotated[Path | None, typer.Option(help="folder for the table as CSV and a figure")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="copies each run's report, not its weights, to KEEP/RECIPE/RUN")
    ] = None,
) -> None:
    """Compares several runs in one Markdown table; with --out also as CSV and a figure."""
    with _readable_errors():
        comparison_rows = comparison.rows(runs)
        typer.echo(comparison.markdown(comparison_rows))
        if out:
            comparison.files(comparison_rows, out)
        for run in runs if keep else []:
            typer.echo(f"kept {comparison.keep(run, keep)}", err=True)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="the run whose weights to ship; with --onnx also a checkpoint")],
    checkpoint: Annotated[
        Path | None, typer.Argument(help="for example checkpoints/mine; none where RUN is one")
    ] = None,
    measured: Annotated[
        list[Path], typer.Option(help="crossval folders whose results the model card quotes")
    ] = [],  # noqa: B006
    version: Annotated[str, typer.Option(help="what the app tells with each result")] = "1",
    left_out: Annotated[
        Path | None,
        typer.Option(
            help="file of `python -m benchmarks.left_out`: decides gate, joint model, temperature, modesty"
        ),
    ] = None,
    base: Annotated[
        str, typer.Option(help="a checkpoint beside it that keeps the encoders which both have unchanged")
    ] = "",
    onnx: Annotated[
        bool, typer.Option("--onnx", help="adds model.onnx and model.int8.onnx, for machines without torch")
    ] = False,
) -> None:
    """Exports a checkpoint for the app: weights, bundle.json, metrics.json, model card."""
    with _readable_errors():
        if checkpoint:
            bundle = exports.export(run, checkpoint, measured, version, left_out, base)
            typer.echo(
                f"{checkpoint}: {bundle.parameters / 1e6:.1f} M parameters, {bundle.size_bytes / 1e6:.1f} MB"
            )
        elif not onnx:
            raise RunError("name the checkpoint to make, for example checkpoints/mine")
        if onnx:
            for path, difference in onnx_export.write(checkpoint or run).items():
                size = path.stat().st_size / 1e6
                typer.echo(f"{path}: {size:.1f} MB, probabilities within {difference:.1g} of torch's")


def _cache(folder: Path | None, off: bool) -> FeatureCache:
    return FeatureCache(None if off else folder or default_folder())


def _progress(corpus: str) -> Callable[[Sequence[Clip]], Iterator[Clip]]:
    """A progress bar on stderr that counts clips as they are opened."""

    def iterate(clips: Sequence[Clip]) -> Iterator[Clip]:
        with typer.progressbar(clips, label=corpus, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
            yield from bar

    return iterate


class _readable_errors:  # noqa: N801 (reads as a statement)
    """Reports errors in ERRORS in one line on stderr, with exit code 1."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ERRORS):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
