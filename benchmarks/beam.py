"""A beam of hypotheses on the emotions of earlier clips, beside the sums that the program keeps.

`python -m benchmarks.beam --recipe R` takes the folds of a recipe that leave one corpus out each, and judges
the simulated sessions of `benchmarks.left_out` by three rules: the gate alone, the gate with the joint model
as the program has it (`ser_core.models.joint`: each earlier clip counts for every emotion in part), and the
gate with a beam. The beam keeps the likeliest hypotheses on what the earlier clips were. Under each of them
the voice is Gaussian, and so is the clip that follows; emotions follow an urn (Dirichlet with one of URNS),
so that sessions of one emotion and of all are both expected. A share of what it has learned of a clip is
added to the clip's log-probabilities.

Gate, weights and share of a corpus are those that are best for the mean of the *other* corpora. UAR in
percent, without each session's first clip. Writes benchmarks/results/beam_RECIPE.json.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.left_out import CHOOSING, GATES, KEPT, OUT, RECIPE, WEIGHTS, Fold, load_fold
from benchmarks.simulated import draw
from benchmarks.unseen import Embedded
from ser_core.models.joint import JointModel
from train import recipe as recipes
from train.corpora import classes_of

HYPOTHESES = 24
URNS = (0.3, 1.0, 10.0)  # the smaller, the fewer emotions are expected of a session
SHARES = (0.1, 0.2, 0.3)  # of what the beam has learned; it is overconfident
RULES = {
    "gate": [(0.0, 0.0)],
    "gate and joint model": WEIGHTS,
    "gate and beam": [(share, 0.0) for share in SHARES],
}

Kinds = dict[str, float]  # UAR in percent by kind of session


@dataclass(frozen=True)
class State:
    """Of some sessions, `(session, …)`. In float64, 76 kB a session."""

    counts: Tensor  # (session, hypothesis, class) clips that it takes for each emotion
    totals: Tensor  # (session, hypothesis, class, direction) sums of these clips
    urns: Tensor  # (session, hypothesis) Dirichlet parameter
    log_weights: Tensor  # (session, hypothesis) up to a constant of the session; -inf: no hypothesis


class Beam:
    """Judges clips `(session, direction)` by a joint model, one clip of each session after the other."""

    def __init__(self, joint: JointModel) -> None:
        self.joint = deepcopy(joint).double()
        self.emotions = self.joint.emotions

    def begin(self, sessions: int = 1) -> State:
        """The state of `sessions` without clips."""
        shape = (sessions, HYPOTHESES)
        urns = self.emotions.new_full(shape, URNS[0])
        log_weights = self.emotions.new_full(shape, -torch.inf)
        urns[:, : len(URNS)], log_weights[:, : len(URNS)] = urns.new_tensor(URNS), 0
        counts = self.emotions.new_zeros(*shape, len(self.emotions))
        return State(counts, self.emotions.new_zeros(*shape, *self.emotions.shape), urns, log_weights)

    def step(self, state: State, clips: Tensor) -> tuple[Tensor, State]:
        """Log-probabilities `(session, class)` of the next clip of each session, and the state after it."""
        scores = state.log_weights[..., None] + self._log_likelihoods(state, clips)
        kept, best = scores.flatten(1).topk(HYPOTHESES)
        parent, emotion = best // scores.shape[2], best % scores.shape[2]
        taken = torch.nn.functional.one_hot(emotion, scores.shape[2]).to(clips.dtype)
        row = torch.arange(len(clips))[:, None]
        after = State(
            state.counts[row, parent] + taken,
            state.totals[row, parent] + taken[..., None] * clips[:, None, None],
            state.urns[row, parent],
            kept - kept[:, :1],
        )
        return scores.logsumexp(1).log_softmax(-1), after

    def _log_likelihoods(self, state: State, clips: Tensor) -> Tensor:
        """Of a clip and its emotion under each hypothesis, `(session, hypothesis, class)`."""
        fit = self.joint.log_densities(clips[:, None], state.counts, state.totals)
        urns = state.urns[..., None]
        drawn = (state.counts + urns / state.counts.shape[-1]) / (state.counts.sum(-1, keepdim=True) + urns)
        return fit + drawn.log()


def learned(joint: JointModel, clips: Embedded, kind: str) -> Tensor:
    """What the beam adds to the clips of the simulated sessions, `(clip, class)`; not the first ones."""
    beam, rows = Beam(joint), joint.project(clips.embeddings)
    alone = joint.alone(rows).double()
    sessions = [session for seed in CHOOSING for session in draw(clips, kind, seed)]
    gained: dict[tuple[int, int], Tensor] = {}
    running, state = list(range(len(sessions))), beam.begin(len(sessions))
    for turn in range(max(map(len, sessions))):
        kept = [place for place, number in enumerate(running) if len(sessions[number]) > turn]
        state = State(*(part[kept] for part in vars(state).values()))
        running = [running[place] for place in kept]
        clip = [int(sessions[number][turn]) for number in running]
        together, state = beam.step(state, rows[clip].double())
        for number, row in zip(running, together - alone[clip], strict=True):
            gained[number, turn] = row
    return torch.stack([gained[n, turn] for n, s in enumerate(sessions) for turn in range(1, len(s))])


def with_beam(fold: Fold) -> Fold:
    """`fold` judged with what the beam adds instead of what the joint model does."""
    assert fold.model.joint is not None
    for kind, (rows, readings) in fold.kinds.items():
        of_voice = learned(fold.model.joint, fold.clips, kind).to(readings.alone.dtype)
        of_both = torch.stack([of_voice, torch.zeros_like(of_voice)], dim=1)
        fold.kinds[kind] = rows, readings._replace(learned=of_both)
    return fold


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

    def fold_of(corpus: str) -> Fold:
        own = [clip for clip in clips if clip.corpus == corpus]
        return load_fold(corpus, own, folder / f"without_{corpus}", classes, KEPT)

    rows: dict[str, dict[str, object]] = {corpus: {} for corpus in settings.corpora}
    means: dict[str, Kinds] = {}
    for rule, weights in RULES.items():
        make: Callable[[Fold], Fold] = with_beam if rule == "gate and beam" else lambda fold: fold
        folds = {corpus: make(fold_of(corpus)) for corpus in settings.corpora}
        measured = {}
        for corpus, fold in folds.items():
            choice = max(
                ((gate, weight) for gate in GATES for weight in weights),
                key=lambda choice: np.mean([f.score(*choice) for c, f in folds.items() if c != corpus]),
            )
            measured[corpus] = {kind: fold.uar(kind, *choice) for kind in fold.kinds}
            rows[corpus][rule] = {"gate": choice[0], "weights": choice[1], "uar": measured[corpus]}
        means[rule] = _mean(measured)
        means["by themselves"] = _mean({c: {k: f.uar_alone(k) for k in f.kinds} for c, f in folds.items()})
    for name, kinds in means.items():
        typer.echo(f"{name}: " + ", ".join(f"{kind} {value:.1f}" for kind, value in kinds.items()))
    report = {"command": f"python -m benchmarks.beam --recipe {recipe}", "mean": means, "corpora": rows}
    path = out / f"beam_{settings.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _mean(measured: dict[str, Kinds]) -> Kinds:
    """By kind, over the corpora that have it."""
    kinds = dict.fromkeys(kind for uars in measured.values() for kind in uars)
    return {
        kind: round(float(np.mean([uars[kind] for uars in measured.values() if kind in uars])), 2)
        for kind in kinds
    }


if __name__ == "__main__":
    typer.run(main)
