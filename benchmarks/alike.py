"""What clips gain where they are judged with others, as `analyze --one-voice` and `--alike` do.

`python -m benchmarks.alike` takes the models that `python -m train crossval --protocol leave_one_corpus_out`
left in runs/ and hears the corpus that each was not trained on: clips by themselves, with what came before
of the same voice (in random order), with all others of the same voice, with all others of everybody, and,
the worst that can be done, with others of the same emotion alone. Then the same with every voice moved to
another room and microphone (the first virtual session of the recipe): recordings that are not alike. Prints
UAR in percent among the classes shared, and writes benchmarks/results/alike.json.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.sessions import RECIPE, RUNS, uar
from ser_core import bundle as bundles
from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train import corpora, protocols, recipe, sessions
from train.cache import FeatureCache, default_folder
from train.embeddings import Embedder

PROTOCOL = "leave_one_corpus_out"
OUT = Path(__file__).parent / "results" / "alike.json"
PLACES = ("as recorded", "each voice elsewhere")  # copy 0, and the first that augmentation changes


def main(
    runs: Annotated[Path, typer.Option(help="where crossval left its runs")] = RUNS,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
) -> None:
    """Prints and writes the table."""
    chosen = recipe.read(RECIPE)
    clips = corpora.read(data, chosen.corpora)
    told = json.loads((runs / PROTOCOL / "protocol.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, float]] = {}
    for split in protocols.splits(PROTOCOL, clips, chosen.seed):
        _, model = bundles.load(runs / PROTOCOL / split.name / "bundle")
        assert isinstance(model, WhisperAdaptive)
        corpus = split.name.removeprefix("without_")
        labels = told[corpus]["classes"]
        embedder = Embedder(chosen, FeatureCache(default_folder()), model=model)
        found[corpus] = {}
        for copy, place in enumerate(PLACES):
            embeddings = embedder.embeddings(split.test, copy)
            alone = sessions.by_themselves(model, split.test, embeddings)
            heard = {
                "by themselves": alone,
                "with the voice's earlier clips": sessions.in_sessions(
                    model, alone, embeddings, sessions.every_emotion
                ),
                "with the voice's other clips": sessions.together(model, alone, embeddings, alone.speakers),
                "with everybody's other clips": sessions.together(model, alone, embeddings, alone.corpora),
                "with other clips of the same emotion": sessions.together(
                    model, alone, embeddings, [LABELS[target] for target in alone.targets]
                ),
            }
            found[corpus] |= {f"{place}: {way}": round(uar(rows, labels), 1) for way, rows in heard.items()}
    ways = list(next(iter(found.values())))
    found["mean"] = {way: round(float(np.mean([rows[way] for rows in found.values()])), 1) for way in ways}
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{'':>48}" + "".join(f"{name:>9}" for name in found))
    for way in ways:
        typer.echo(f"{way:>48}" + "".join(f"{rows[way]:>9.1f}" for rows in found.values()))


if __name__ == "__main__":
    typer.run(main)
