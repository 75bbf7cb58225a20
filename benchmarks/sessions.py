"""How much of the emotions' part of a session's mean to remove (`ser_core.models.session.EXPLAINED`).

`python -m benchmarks.sessions` takes the models that `python -m train crossval` left in runs/, tests them on
unseen speakers in three kinds of session with several values, prints UAR in percent and writes
benchmarks/results/sessions.json. "ravdess" is the mean of the five folds; "strangers" is the mean of the four
corpora left out, among the classes they share.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ser_core.checkpoint import bundle as bundles
from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train import recipe
from train.data.cache import FeatureCache, default_folder
from train.data.embeddings import Embedder
from train.protocols import crossval
from train.reports import evaluate, sessions

RECIPE = Path("train/recipes/whisper_base_adaptive.toml")
RUNS = Path("runs/whisper_base_adaptive")
OUT = Path(__file__).parent / "results" / "sessions.json"
VALUES = (0.0, 0.25, 0.5, 0.75, 1.0)
PROTOCOLS = {"ravdess": "ravdess_5fold", "strangers": "leave_one_corpus_out"}


def main(
    runs: Annotated[Path, typer.Option(help="where crossval left its runs")] = RUNS,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
) -> None:
    """Prints and writes the table."""
    settings = recipe.read(RECIPE)
    clips = settings.clips(data)
    cache = FeatureCache(default_folder())
    columns = ["alone", *(f"{kind} {value:g}" for value in VALUES for kind in sessions.KINDS)]
    report: dict[str, dict[str, list[float]]] = {name: {key: [] for key in columns} for name in PROTOCOLS}
    for name, protocol in PROTOCOLS.items():
        protocol_classes = json.loads((runs / protocol / "protocol.json").read_text(encoding="utf-8"))
        for split in crossval.splits(protocol, clips, settings.seed):
            _, model = bundles.load(runs / protocol / split.name / "bundle")
            assert isinstance(model, WhisperAdaptive)
            labels = protocol_classes.get(split.name.removeprefix("without_"), {}).get("classes", LABELS)
            embedder = Embedder(settings, cache, model=model if settings.changes_encoder else None)
            embeddings = embedder.embeddings(split.test)
            alone = sessions.by_themselves(model, split.test, embeddings)
            report[name]["alone"].append(uar(alone, labels))
            for value in VALUES:
                for kind, make in sessions.KINDS.items():
                    predictions = sessions.in_sessions(model, alone, embeddings, make, value)
                    report[name][f"{kind} {value:g}"].append(uar(predictions, labels))
    means = {
        name: {key: round(float(np.mean(v)), 1) for key, v in rows.items()} for name, rows in report.items()
    }
    out.write_text(json.dumps(means, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{'':>24}" + "".join(f"{name:>12}" for name in PROTOCOLS))
    for key in columns:
        typer.echo(f"{key:>24}" + "".join(f"{means[name][key]:>12.1f}" for name in PROTOCOLS))


def uar(predictions: evaluate.Predictions, labels: Sequence[str]) -> float:
    """Unweighted average recall in percent of the clips with `labels`, among these classes."""
    among = evaluate.among(predictions, labels)
    return 100 * evaluate.unweighted_average_recall(among.predicted, among.targets)


if __name__ == "__main__":
    typer.run(main)
