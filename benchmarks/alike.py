"""Accuracy of clips judged together with others, as by `analyze --one-voice` and `--alike`.

`python -m benchmarks.alike` evaluates the models that `python -m train crossval --protocol
leave_one_corpus_out` left in runs/, each on the corpus that it was not trained on. Clips are judged

- by themselves,
- with the earlier clips of the same voice, in random order,
- with all other clips of the same voice,
- with all other clips of all voices,
- with other clips of the same emotion alone, which is the worst case,
- and with all others where seven of ten clips are neutral.

Then the same with every voice moved to another room and microphone (the first virtual session of the recipe):
recordings that are not alike. Prints UAR in percent among the shared classes, the share of clips that get an
emotion at the shipped model's temperature and threshold, and the accuracy of these. Writes
benchmarks/results/alike.json.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from torch import Tensor

from benchmarks.sessions import RECIPE, RUNS, uar
from ser_core.checkpoint import bundle as bundles
from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train import corpora, recipe
from train.data.cache import FeatureCache, default_folder
from train.data.embeddings import Embedder
from train.protocols import crossval
from train.reports import evaluate, sessions
from train.reports.evaluate import Predictions

PROTOCOL = "leave_one_corpus_out"
OUT = Path(__file__).parent / "results" / "alike.json"
CONDITIONS = ("as recorded", "each voice elsewhere")  # copy 0, and the first augmented one
NEUTRAL = LABELS.index("neutral")
OTHERS_PER_NEUTRAL = 3 / 7  # where seven of ten clips are neutral
DRAWS = 5  # random selections of the other clips
NAMES = {"answered": "answered", "accuracy_of_answered": "right of these"}


def main(
    runs: Annotated[Path, typer.Option(help="where crossval left its runs")] = RUNS,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
) -> None:
    """Prints and writes the table."""
    settings = recipe.read(RECIPE)
    clips = corpora.read(data, settings.corpora)
    shipped = bundles.read(bundles.DEFAULT)
    protocol = json.loads((runs / PROTOCOL / "protocol.json").read_text(encoding="utf-8"))
    report: dict[str, dict[str, float]] = {}
    for split in crossval.splits(PROTOCOL, clips, settings.seed):
        _, model = bundles.load(runs / PROTOCOL / split.name / "bundle")
        assert isinstance(model, WhisperAdaptive)
        corpus = split.name.removeprefix("without_")
        labels = protocol[corpus]["classes"]
        embedder = Embedder(settings, FeatureCache(default_folder()), model=model)
        report[corpus] = {}
        for copy, condition in enumerate(CONDITIONS):
            embeddings = embedder.embeddings(split.test, copy)
            alone = sessions.by_themselves(model, split.test, embeddings)
            rows = contexts(model, alone, embeddings) | mostly_neutral(model, alone, embeddings)
            for context, predictions in rows.items():
                name = f"{condition}: {context}"
                report[corpus][name] = uar(predictions, labels)
                shares = evaluate.answers(predictions, shipped.temperature, shipped.threshold)
                report[corpus] |= {f"{name}, {NAMES[key]}": value for key, value in shares.items()}
    names = list(next(iter(report.values())))
    report["mean"] = {name: float(np.mean([rows[name] for rows in report.values()])) for name in names}
    rounded = {
        corpus: {name: round(value, 1) for name, value in rows.items()} for corpus, rows in report.items()
    }
    out.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{'':>80}" + "".join(f"{corpus:>9}" for corpus in rounded))
    for name in names:
        typer.echo(f"{name:>80}" + "".join(f"{rows[name]:>9.1f}" for rows in rounded.values()))


def contexts(model: WhisperAdaptive, alone: Predictions, embeddings: Tensor) -> dict[str, Predictions]:
    """Predictions for all clips, by the clips that each is judged with."""
    emotions = [LABELS[target] for target in alone.targets]
    return {
        "by themselves": alone,
        "with the voice's earlier clips": sessions.in_sessions(
            model, alone, embeddings, sessions.every_emotion
        ),
        "with the voice's other clips": sessions.together(model, alone, embeddings, alone.speakers),
        "with everybody's other clips": sessions.together(model, alone, embeddings, alone.corpora),
        "with everybody's of the same emotion": sessions.together(model, alone, embeddings, emotions),
    }


def mostly_neutral(model: WhisperAdaptive, alone: Predictions, embeddings: Tensor) -> dict[str, Predictions]:
    """The same for random selections in which seven of ten clips are neutral."""
    rng = np.random.default_rng(0)
    neutral, others = (np.flatnonzero(rows) for rows in (alone.targets == NEUTRAL, alone.targets != NEUTRAL))
    separate, together = [], []
    for _ in range(DRAWS):
        count = min(len(others), round(OTHERS_PER_NEUTRAL * len(neutral)))
        selected = rng.choice(others, count, replace=False)
        rows = np.concatenate([neutral, selected])
        separate.append(evaluate.rows_of(alone, rows))
        together.append(sessions.together(model, separate[-1], embeddings[rows], separate[-1].corpora))
    return {
        "mostly neutral, by themselves": evaluate.join(separate),
        "mostly neutral, with everybody's other clips": evaluate.join(together),
    }


if __name__ == "__main__":
    typer.run(main)
