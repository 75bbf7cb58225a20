"""What clips gain where they are judged with others, as `analyze --one-voice` and `--alike` do.

`python -m benchmarks.alike` takes the models that `python -m train crossval --protocol leave_one_corpus_out`
left in runs/ and hears the corpus that each was not trained on: clips by themselves, with what came before
of the same voice (in random order), with all others of the same voice, with all others of everybody, and,
the worst that can be done, with others of the same emotion alone; and where seven of ten clips are neutral.
Then the same with every voice moved to another room and microphone (the first virtual session of the recipe):
recordings that are not alike. Prints UAR in percent among the classes shared, how many clips get an emotion
at the shipped model's temperature and threshold, and how many of these rightly; writes
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
PLACES = ("as recorded", "each voice elsewhere")  # copy 0, and the first that augmentation changes
NEUTRAL = LABELS.index("neutral")
OTHERS = 3 / 7  # clips for each neutral one, where seven of ten are neutral
DRAWS = 5  # of these others
NAMES = {"answered": "answered", "accuracy_of_answered": "right of these"}


def main(
    runs: Annotated[Path, typer.Option(help="where crossval left its runs")] = RUNS,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
) -> None:
    """Prints and writes the table."""
    chosen = recipe.read(RECIPE)
    clips = corpora.read(data, chosen.corpora)
    shipped = bundles.read(bundles.DEFAULT)
    told = json.loads((runs / PROTOCOL / "protocol.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, float]] = {}
    for split in crossval.splits(PROTOCOL, clips, chosen.seed):
        _, model = bundles.load(runs / PROTOCOL / split.name / "bundle")
        assert isinstance(model, WhisperAdaptive)
        corpus = split.name.removeprefix("without_")
        labels = told[corpus]["classes"]
        embedder = Embedder(chosen, FeatureCache(default_folder()), model=model)
        found[corpus] = {}
        for copy, place in enumerate(PLACES):
            embeddings = embedder.embeddings(split.test, copy)
            alone = sessions.by_themselves(model, split.test, embeddings)
            rows = ways(model, alone, embeddings) | mostly_neutral(model, alone, embeddings)
            for way, heard in rows.items():
                found[corpus][f"{place}: {way}"] = uar(heard, labels)
                told_of = evaluate.answers(heard, shipped.temperature, shipped.threshold)
                found[corpus] |= {f"{place}: {way}, {NAMES[key]}": value for key, value in told_of.items()}
    names = list(next(iter(found.values())))
    found["mean"] = {way: float(np.mean([rows[way] for rows in found.values()])) for way in names}
    shown = {name: {way: round(value, 1) for way, value in rows.items()} for name, rows in found.items()}
    out.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{'':>80}" + "".join(f"{name:>9}" for name in shown))
    for way in names:
        typer.echo(f"{way:>80}" + "".join(f"{rows[way]:>9.1f}" for rows in shown.values()))


def ways(model: WhisperAdaptive, alone: Predictions, embeddings: Tensor) -> dict[str, Predictions]:
    """Predictions of all clips by what they are judged with."""
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
    """The same of draws in which seven of ten clips are neutral."""
    rng = np.random.default_rng(0)
    neutral, others = (np.flatnonzero(rows) for rows in (alone.targets == NEUTRAL, alone.targets != NEUTRAL))
    apart, together = [], []
    for _ in range(DRAWS):
        drawn = rng.choice(others, min(len(others), round(OTHERS * len(neutral))), replace=False)
        rows = np.concatenate([neutral, drawn])
        apart.append(evaluate.rows_of(alone, rows))
        together.append(sessions.together(model, apart[-1], embeddings[rows], apart[-1].corpora))
    return {
        "mostly neutral, by themselves": evaluate.join(apart),
        "mostly neutral, with everybody's other clips": evaluate.join(together),
    }


if __name__ == "__main__":
    typer.run(main)
