"""Corpora that a network was not trained on: what it makes of their clips, by themselves and in sessions.

`python -m benchmarks.left_out` takes the folds of a recipe that leave one corpus out each (`python -m train
crossval --protocol leave_one_corpus_out`), judges each corpus by the network that was not trained on it, and
writes benchmarks/results/left_out_RECIPE.json. A corpus in `--unseen`, on which no network of the recipe was
trained, is judged by the one that was trained on everybody.

Properties of a checkpoint are chosen on simulated sessions (`benchmarks.simulated`): the ends of its gate and
the weights of its joint model (if it has one) by UAR, and temperature and modesty (`ser_core.models.session`)
by calibration error. The figures of a corpus are those with the properties that the *other* corpora chose;
the properties that all corpora choose together are written beside them, for `train export --left-out`.

Kinds of session are those of `train.reports.sessions`. "by themselves" is of the same clips. A corpus is
judged among the classes that it shares with the corpora of its fold.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import unseen
from benchmarks.simulated import KINDS, draw
from benchmarks.unseen import Embedded
from ser_core.checkpoint import bundle as bundles
from ser_core.models.whisper_adaptive import Readings, WhisperAdaptive
from train import recipe as recipes
from train.corpora import Clip, classes_of
from train.corpora.reading import read_corpus
from train.corpora.splits import RAVDESS_TEST, ravdess_fold
from train.data.cache import default_folder
from train.recipe import Recipe
from train.reports import evaluate, sessions
from train.reports.evaluate import Predictions

RECIPE = Path("train/recipes/whisper_base_campplus_adaptive.toml")
UNSEEN = ["emospeech_india"]
OUT = Path(__file__).parent / "results"
CHOOSING = (0, 1)  # seeds of the sessions on which properties are chosen
LOWS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # nats
WIDTHS = (0.1, 0.2, 0.3, 0.4, 0.6)
GATES = [(low, round(low + width, 1)) for low in LOWS for width in WIDTHS]
TEMPERATURES = tuple(np.round(np.arange(0.4, 3.01, 0.1), 1).tolist())
MODESTIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
WEIGHTS = [(voice, emotions) for voice in (0.0, 0.1, 0.2, 0.3) for emotions in (0.0, 0.2, 0.4)]
ALLOWED = 0.5  # points that a kind may lie below clips by themselves; what exceeds it counts twice
THRESHOLD = 0.5  # confidence of an answer
KEPT = default_folder().parent / "left_out"  # embeddings
log = logging.getLogger(__name__)

Gate = tuple[float, float]
Weights = tuple[float, float] | None  # of voice and of emotions; None without a joint model


@dataclass(frozen=True)
class Chosen:
    """The properties of a checkpoint that unseen corpora decide."""

    gate: Gate  # nats
    joint: Weights
    temperature: float
    modesty: float


class Fold:
    """One corpus, and the network that was not trained on it."""

    def __init__(self, clips: Embedded, model: WhisperAdaptive, labels: Sequence[str]) -> None:
        """`labels`: the classes of the corpus that the network was trained on."""
        self.clips, self.model, self.labels = clips, model, labels
        self.alone = model.read_alone(clips.embeddings).log_softmax(-1)
        noted = model.noted(clips.embeddings)
        self.kinds: dict[str, tuple[NDArray[np.int64], Readings]] = {}
        self._scores: dict[tuple[Gate, Weights], float] = {}
        for kind in KINDS:
            rows, readings = [], []
            for session in (s for seed in CHOOSING for s in draw(clips, kind, seed)):
                rows.append(session[1:])
                before = noted[session].cumsum(0)[:-1]
                readings.append(model.readings(clips.embeddings[session[1:]], before))
            if rows:
                joined = Readings(*(torch.cat(column) for column in zip(*readings, strict=True)))
                self.kinds[kind] = np.concatenate(rows), joined

    def predictions(self, logits: Tensor, rows: NDArray[np.int64] | None = None) -> Predictions:
        """`logits` `(clip, class)` of the clips at `rows`, by default of all, among `labels`."""
        rows = np.arange(len(self.clips.targets)) if rows is None else rows
        return evaluate.among(
            Predictions(
                tuple(map(str, rows)),
                (self.clips.corpus,) * len(rows),
                tuple(self.clips.speakers[rows].tolist()),
                self.clips.targets[rows],
                logits.double().numpy(),
            ),
            self.labels,
        )

    def decided(self, kind: str, gate: Gate, joint: Weights, modesty: float = 0.0) -> Predictions:
        """Simulated sessions of `kind`, judged with these properties."""
        rows, readings = self.kinds[kind]
        self.model.gate, self.model.joint_weights, self.model.modesty = gate, joint, modesty
        return self.predictions(self.model.decide(readings), rows)

    def uar(self, kind: str, gate: Gate, joint: Weights) -> float:
        """Of simulated sessions of `kind`, in percent."""
        return _uar(self.decided(kind, gate, joint))

    def uar_alone(self, kind: str) -> float:
        """Of the same clips by themselves, in percent."""
        rows, _ = self.kinds[kind]
        return _uar(self.predictions(self.alone[rows], rows))

    def score(self, gate: Gate, joint: Weights) -> float:
        """Mean UAR over kinds, less what a kind falls more than ALLOWED below clips by themselves, twice."""
        if (gate, joint) not in self._scores:
            score = 0.0
            for kind in self.kinds:
                in_session = self.uar(kind, gate, joint)
                score += in_session - 2 * max(0.0, self.uar_alone(kind) - ALLOWED - in_session)
            self._scores[gate, joint] = score / len(self.kinds)
        return self._scores[gate, joint]

    def calibration_errors(self, gate: Gate, joint: Weights) -> NDArray[np.float64]:
        """Of each of TEMPERATURES and MODESTIES: half of clips by themselves, half of the mean over kinds."""
        errors = np.zeros((len(TEMPERATURES), len(MODESTIES)))
        for column, modesty in enumerate(MODESTIES):
            lone = self.predictions(self.alone / (1 + modesty))
            later = [self.decided(kind, gate, joint, modesty) for kind in self.kinds]
            for row, temperature in enumerate(TEMPERATURES):
                within = [evaluate.calibration_error(kind, temperature) for kind in later]
                errors[row, column] = (
                    evaluate.calibration_error(lone, temperature) + float(np.mean(within))
                ) / 2
        return errors

    def judged(self, chosen: Chosen) -> dict[str, tuple[Predictions, Predictions]]:
        """By kind: clips in sessions, and the same clips by themselves, with the properties `chosen`."""
        self.model.gate, self.model.joint_weights = chosen.gate, chosen.joint
        self.model.modesty = chosen.modesty
        lone = self.model.by_themselves(self.clips.embeddings).double().numpy()
        count = len(self.clips.targets)
        every = Predictions(
            tuple(map(str, range(count))),
            (self.clips.corpus,) * count,
            tuple(self.clips.speakers.tolist()),
            self.clips.targets,
            lone,
        )
        among = evaluate.among(every, self.labels)
        results = {"by_themselves": (among, among)}
        for name, kind in sessions.KINDS.items():
            if name == "mostly_neutral" and "neutral" not in self.labels:
                continue
            within = sessions.in_sessions(self.model, every, self.clips.embeddings, kind)
            same = evaluate.rows_of(every, [int(file) for file in within.files])
            results[name] = evaluate.among(within, self.labels), evaluate.among(same, self.labels)
        return results


def load_fold(
    corpus: str, clips: Sequence[Clip], run: Path, classes: Mapping[str, Sequence[str]], cache: Path
) -> Fold:
    """The `clips` of `corpus`, judged by the network of a `run` without it.

    `classes`: those of each corpus of the recipe. Embeddings are kept in `cache`.
    """
    bundle, model = bundles.load(run / "bundle")
    assert isinstance(model, WhisperAdaptive)
    known = {label for other, labels in classes.items() if other != corpus for label in labels}
    own = [label for label in classes_of(clips)[corpus] if label in known]
    return Fold(unseen.read(corpus, clips, cache, bundle, model), model, own)


def measured(folds: Sequence[Fold], chosen: Chosen) -> dict[str, Any]:
    """`folds` pooled: UAR, calibration and answers of clips by themselves and in sessions of each kind."""
    parts = [fold.judged(chosen) for fold in folds]
    results: dict[str, Any] = {}
    for kind in parts[0]:
        within, same = (evaluate.join([part[kind][i] for part in parts]) for i in (0, 1))
        results[kind] = _measured(within, chosen) | {"uar_by_themselves": round(_uar(same), 2)}
    return results


def choose(folds: Sequence[Fold]) -> Chosen:
    """The properties that are best for the mean of `folds`."""
    joined = all(fold.model.joint is not None for fold in folds)
    choices = [(gate, weights) for gate in GATES for weights in (WEIGHTS if joined else [None])]
    scores = [np.mean([fold.score(*choice) for fold in folds]) for choice in choices]
    gate, joint = choices[int(np.argmax(scores))]
    errors = np.mean([fold.calibration_errors(gate, joint) for fold in folds], axis=0)
    row, column = np.unravel_index(int(errors.argmin()), errors.shape)
    return Chosen(gate, joint, TEMPERATURES[row], MODESTIES[column])


def _uar(predictions: Predictions) -> float:
    return 100 * evaluate.unweighted_average_recall(predictions.predicted, predictions.targets)


def _measured(predictions: Predictions, chosen: Chosen) -> dict[str, Any]:
    """UAR with its interval over voices, calibration error, and what is answered, in percent."""
    measured = evaluate.measure(predictions, chosen.temperature)
    keys = ("clips", "speakers", "uar", "uar_ci95", "ece")
    return {key: measured[key] for key in keys} | evaluate.answers(predictions, chosen.temperature, THRESHOLD)


@torch.inference_mode()
def main(
    recipe: Annotated[Path, typer.Option(help="recipe of the folds")] = RECIPE,
    runs: Annotated[Path | None, typer.Option(help="its runs; default runs/RECIPE")] = None,
    unseen_corpus: Annotated[
        list[str], typer.Option("--unseen", help="corpora that no run was trained on")
    ] = UNSEEN,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    cache: Annotated[Path | None, typer.Option(help="folder that keeps the embeddings")] = None,
    out: Annotated[Path, typer.Option(help="folder that the figures go to")] = OUT,
) -> None:
    """Prints and writes the table."""
    logging.basicConfig(level=logging.INFO)
    settings = recipes.read(recipe)
    folder = runs or Path("runs") / settings.name
    clips = settings.clips(data)
    classes = classes_of(clips)
    folds: dict[str, Fold] = {}
    turned_away: dict[str, float] = {}
    for corpus in (*settings.corpora, *unseen_corpus):
        trained = corpus in settings.corpora
        run = folder / "leave_one_corpus_out" / f"without_{corpus}" if trained else folder / "everyone"
        if not (run / "bundle").is_dir():
            log.warning("%s is missing: %s is not measured", run, corpus)
            continue
        own = [clip for clip in clips if clip.corpus == corpus] if trained else read_corpus(data / corpus)
        kept = (cache or default_folder().parent) / "left_out"
        fold = folds[corpus] = load_fold(corpus, own, run, classes, kept)
        familiar = fold.model.familiar(fold.clips.embeddings)
        turned_away[corpus] = evaluate.percent(1 - familiar.double().mean().item())
    chosen_on_all = choose(list(folds.values()))
    report: dict[str, Any] = {
        "command": " --unseen ".join([f"python -m benchmarks.left_out --recipe {recipe}", *unseen_corpus]),
        "threshold": THRESHOLD,
        "unlike_speech": turned_away,  # percent of the clips that the app gives no emotion
        "chosen_on_all": vars(chosen_on_all),
        "corpora": {},
    }
    for corpus, fold in folds.items():
        chosen = choose([other for name, other in folds.items() if name != corpus])
        report["corpora"][corpus] = {"chosen_on_the_others": vars(chosen)} | measured([fold], chosen)
        typer.echo(_line(corpus, report["corpora"][corpus]))
    if actors := _ravdess(settings, folder / "ravdess_5fold", clips, cache):
        chosen = choose([fold for name, fold in folds.items() if name != "ravdess"])
        report["ravdess_5fold"] = {"chosen_on_the_others": vars(chosen)} | measured(actors, chosen)
        typer.echo(_line("ravdess_5fold", report["ravdess_5fold"]))
    for name in ("", "_of_all"):
        corpora = ("ravdess", "emovo", "nemo", "tess") if not name else settings.corpora
        parts = [report["corpora"][corpus] for corpus in corpora if corpus in folds]
        if len(parts) == len(corpora):
            report[f"mean{name}"] = _mean(parts)
            typer.echo(_line(f"mean{name}", report[f"mean{name}"]))
    typer.echo(f"chosen on all: {chosen_on_all}; turned away: {turned_away}")
    path = out / f"left_out_{settings.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _ravdess(settings: Recipe, folder: Path, clips: Sequence[Clip], cache: Path | None) -> list[Fold]:
    """The test parts of the five folds by actor; empty where one is not finished."""
    runs = [folder / f"ravdess_fold{fold}" for fold in range(len(RAVDESS_TEST))]
    if not all((run / "metrics.json").is_file() for run in runs):
        return []
    folds = []
    for number, run in enumerate(runs):
        bundle, model = bundles.load(run / "bundle")
        assert isinstance(model, WhisperAdaptive)
        test = ravdess_fold(clips, number).test
        embedded = unseen.read("ravdess", test, cache or KEPT, bundle, model)
        folds.append(Fold(embedded, model, classes_of(test)["ravdess"]))
    return folds


def _mean(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By kind the means over the corpora that have it."""
    kinds = ("by_themselves", *sessions.KINDS)
    keys = ("uar", "uar_by_themselves", "ece", "answered", "accuracy_of_answered")
    return {
        kind: {
            key: round(float(np.mean([part[kind][key] for part in parts if kind in part])), 3)
            for key in keys
            if all(key in part[kind] for part in parts if kind in part)
        }
        for kind in kinds
    }


def _line(name: str, results: dict[str, Any]) -> str:
    cells = [
        f"{kind} {of['uar']:.1f}"
        + (f" ({of['uar_by_themselves']:.1f})" if "uar_by_themselves" in of else "")
        + f" ece {of['ece']:.2f} {of['answered']:.0f}/{of['accuracy_of_answered']:.0f}"
        for kind, of in results.items()
        if kind != "chosen_on_the_others"
    ]
    return f"{name}: " + "; ".join(cells)


if __name__ == "__main__":
    typer.run(main)
