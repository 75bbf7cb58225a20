"""The joint model of voice and emotion beside the shipped gate, on corpora left out.

`python -m benchmarks.session_reader.measure --recipe R` takes the folds of a recipe that leave one corpus out
each and whose encoders stay as published: the joint model can then be fitted on all corpora of a fold. What
it has learned of a session, times a share, is added to the log-probabilities of a clip by itself; the gate
decides how much that counts against the reading within the session. Share 0 is the shipped rule.

Share and gate of a corpus are those that are best for the mean of the *other* corpora, on the simulated
sessions of `benchmarks.left_out`. UAR in percent, without each session's first clip. Writes
benchmarks/results/joint_model_RECIPE.json.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks import unseen
from benchmarks.left_out import ALLOWED, CHOOSING, GATES, KEPT, OUT, Fold, Gate
from benchmarks.session_reader.fit_joint import Corpus, fit
from benchmarks.session_reader.joint_model import JointModel
from benchmarks.simulated import draw
from benchmarks.unseen import Embedded
from ser_core.checkpoint import bundle as bundles
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train import recipe as recipes
from train.corpora import classes_of
from train.reports import evaluate

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)  # of what the joint model has learned
RECIPE = Path("train/recipes/whisper_tiny_adaptive.toml")

Kinds = dict[str, float]  # UAR in percent by kind of session


class Joined:
    """One corpus, the network that was not trained on it, and a joint model that was not fitted on it."""

    def __init__(self, fold: Fold, joint: JointModel) -> None:
        self.fold = fold
        self.learned = {kind: _learned(joint, fold.clips, kind) for kind in fold.kinds}

    def uars(self, share: float, gate: Gate) -> Kinds:
        """UAR of each kind of session."""
        uars = {}
        for kind, (rows, readings) in self.fold.kinds.items():
            staying = (readings.alone + share * self.learned[kind].to(readings.alone.dtype)).log_softmax(-1)
            self.fold.model.gate, self.fold.model.modesty = gate, 0.0
            judged = self.fold.predictions(self.fold.model.decide(readings._replace(alone=staying)), rows)
            uars[kind] = 100 * evaluate.unweighted_average_recall(judged.predicted, judged.targets)
        return uars

    def by_themselves(self) -> Kinds:
        """UAR of the same clips by themselves."""
        uars = {}
        for kind, (rows, _) in self.fold.kinds.items():
            judged = self.fold.predictions(self.fold.alone[rows], rows)
            uars[kind] = 100 * evaluate.unweighted_average_recall(judged.predicted, judged.targets)
        return uars


def _learned(joint: JointModel, clips: Embedded, kind: str) -> Tensor:
    """What clips of the simulated sessions gain from those before, `(clip, class)`; not the first ones."""
    z = joint.directions(clips.embeddings)
    sessions = [session for seed in CHOOSING for session in draw(clips, kind, seed)]
    gained: dict[tuple[int, int], Tensor] = {}
    running, heard = list(range(len(sessions))), joint.begin(len(sessions))
    for turn in range(max(map(len, sessions))):
        kept = [place for place, number in enumerate(running) if len(sessions[number]) > turn]
        heard = type(heard)(*(part[kept] for part in vars(heard).values()))
        running = [running[place] for place in kept]
        clip = z[[sessions[number][turn] for number in running]]
        together, heard = joint.step(heard, clip)
        for number, row in zip(running, together - joint.alone(clip), strict=True):
            gained[number, turn] = row
    return torch.stack([gained[n, turn] for n, s in enumerate(sessions) for turn in range(1, len(s))])


def _score(uars: Kinds, alone: Kinds) -> float:
    """As `benchmarks.left_out.Fold.score`."""
    return float(
        np.mean([value - 2 * max(0.0, alone[kind] - ALLOWED - value) for kind, value in uars.items()])
    )


@torch.inference_mode()
def main(
    recipe: Annotated[Path, typer.Option(help="recipe of the folds")] = RECIPE,
    runs: Annotated[Path | None, typer.Option(help="its runs; default runs/RECIPE")] = None,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="folder that the figures go to")] = OUT,
) -> None:
    """Prints and writes the table."""
    settings = recipes.read(recipe)
    clips = settings.clips(data)
    classes = classes_of(clips)
    folder = (runs or Path("runs") / settings.name) / "leave_one_corpus_out"
    embedded: dict[str, Embedded] = {}
    networks: dict[str, WhisperAdaptive] = {}
    for corpus in settings.corpora:
        bundle, model = bundles.load(folder / f"without_{corpus}" / "bundle")
        assert isinstance(model, WhisperAdaptive)
        own = [clip for clip in clips if clip.corpus == corpus]
        embedded[corpus], networks[corpus] = unseen.read(corpus, own, KEPT, bundle, model), model
    joined: dict[str, Joined] = {}
    for corpus in settings.corpora:
        others = [
            Corpus(c, e.embeddings.numpy(), e.targets, e.speakers) for c, e in embedded.items() if c != corpus
        ]
        known = {label for other, labels in classes.items() if other != corpus for label in labels}
        labels = [label for label in classes[corpus] if label in known]
        joined[corpus] = Joined(Fold(embedded[corpus], networks[corpus], labels), fit(others))
    alone = {corpus: one.by_themselves() for corpus, one in joined.items()}
    table = {
        corpus: {(share, gate): one.uars(share, gate) for share in SHARES for gate in GATES}
        for corpus, one in joined.items()
    }
    rows = {}
    for corpus in settings.corpora:
        rows[corpus] = {"by themselves": alone[corpus]}
        for name, shares in (("the shipped rule", (0.0,)), ("with the joint model", SHARES)):
            share, gate = max(
                ((share, gate) for share in shares for gate in GATES),
                key=lambda choice: np.mean(
                    [_score(table[c][choice], alone[c]) for c in settings.corpora if c != corpus]
                ),
            )
            rows[corpus][name] = table[corpus][share, gate] | {"share": share, "gate": gate}
    means = {
        name: {
            kind: round(float(np.mean([row[name][kind] for row in rows.values() if kind in row[name]])), 2)
            for kind in ("every", "neutral", "one", "mixed")
        }
        for name in ("by themselves", "the shipped rule", "with the joint model")
    }
    for name, kinds in means.items():
        typer.echo(f"{name}: " + ", ".join(f"{kind} {value:.1f}" for kind, value in kinds.items()))
    report = {
        "command": f"python -m benchmarks.session_reader.measure --recipe {recipe}",
        "mean": means,
        "corpora": rows,
    }
    path = out / f"joint_model_{settings.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
