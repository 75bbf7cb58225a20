"""Where a session counts: the ends of a checkpoint's gate (`ser_core.models.session`), and what it is worth.

`python -m benchmarks.gate` takes a shipped checkpoint and four corpora that it was not trained on (CREMA-D,
AESDD, ASED, Indian EmoSpeech), simulates sessions of 2 to 41 clips of one voice, and judges each clip

- by itself,
- within its session without the gate,
- within its session with the gate, whose ends were chosen on the three other corpora and other sessions.

Kinds of session: every emotion as likely, mostly neutral (0.7), one emotion, and mixed (uneven by a Dirichlet
distribution). First clips, which are judged by themselves in any case, are not counted. Sounds unlike speech
are judged as well. A corpus is judged among its own classes, calm counted as neutral where it has no calm.

Prints UAR in percent and the ends that all four corpora together choose; writes
benchmarks/results/gate_CHECKPOINT.json. Embeddings are kept in `--cache`; without it they take some minutes.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks import unseen
from benchmarks.simulated import KINDS, draw
from benchmarks.unseen import Embedded
from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint import calibration
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import Readings, WhisperAdaptive
from train.corpora.reading import drawn, read_corpus
from train.data.cache import default_folder
from train.reports import evaluate
from train.reports.evaluate import Predictions

OUT = Path(__file__).parent / "results"
CORPORA = ("crema_d", "aesdd", "ased", "emospeech_india")
MOST_CLIPS = {"crema_d": 3000}
CHOOSING, REPORTED = (0, 1), (10, 11, 12)  # seeds of the sessions
NEUTRAL, CALM = LABELS.index("neutral"), LABELS.index("calm")
LOWS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # nats
WIDTHS = (0.1, 0.2, 0.3, 0.4, 0.6)
OPTIONS = [(low, round(low + width, 1)) for low in LOWS for width in WIDTHS]
ALLOWED = 0.5  # points that a kind may lie below clips by themselves; what exceeds it counts twice
RULES = ("by themselves", "without the gate", "with the gate")
ROWS = 2000  # clips judged at once

Table = dict[str, float]  # kind -> UAR in percent


class Sessions:
    """Of one corpus and kind: clips that have clips before them, and what the heads make of them."""

    def __init__(
        self, bundle: Bundle, model: WhisperAdaptive, clips: Embedded, kind: str, seeds: Sequence[int]
    ) -> None:
        self.bundle, self.model, self.clips = bundle, model, clips
        noted = model.noted(clips.embeddings)
        rows, states = [], []
        for seed in seeds:
            for session in draw(clips, kind, seed):
                rows.append(session[1:])
                states.append(noted[session].cumsum(0)[:-1])
        self.rows = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        if rows:
            pairs = zip(clips.embeddings[self.rows].split(ROWS), torch.cat(states).split(ROWS), strict=True)
            parts = [model.readings(embeddings, before) for embeddings, before in pairs]
            self.readings = Readings(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def judged(self, rule: str, gate: tuple[float, float]) -> Predictions:
        """Log-probabilities by one of RULES, as the app gives them, among the corpus' own classes."""
        if rule == "by themselves":
            found = self.model.by_themselves(self.clips.embeddings[self.rows])
        else:
            self.model.gate = gate if rule == "with the gate" else None
            found = self.model.decide(self.readings)
        logits = calibration.probabilities(found.double(), self.bundle.temperature).log().numpy()
        classes = self.clips.classes
        if NEUTRAL in classes and CALM not in classes:
            logits[:, NEUTRAL] = np.logaddexp(logits[:, NEUTRAL], logits[:, CALM])
        files = tuple(map(str, self.rows))
        speakers = tuple(self.clips.speakers[self.rows].tolist())
        corpora = (self.clips.corpus,) * len(files)
        every = Predictions(files, corpora, speakers, self.clips.targets[self.rows], logits)
        return evaluate.among(every, [LABELS[label] for label in classes])

    def uar(self, rule: str, gate: tuple[float, float] = (0.0, 0.0)) -> float:
        """Unweighted average recall in percent."""
        found = self.judged(rule, gate)
        return 100 * evaluate.unweighted_average_recall(found.predicted, found.targets)


def choose(corpora: Sequence[dict[str, Sessions]]) -> tuple[float, float]:
    """The ends of the gate with the highest mean over kinds of the mean UAR over `corpora`.

    What a kind falls more than ALLOWED below clips by themselves is taken off twice.
    """
    alone = mean([_table(kinds, "by themselves") for kinds in corpora])
    scores = {}
    for gate in OPTIONS:
        found = mean([_table(kinds, "with the gate", gate) for kinds in corpora])
        short = [max(0.0, alone[kind] - ALLOWED - found[kind]) for kind in found]
        scores[gate] = float(np.mean(list(found.values())) - 2 * np.mean(short))
    return max(scores, key=lambda gate: scores[gate])


def _table(kinds: dict[str, Sessions], rule: str, gate: tuple[float, float] = (0.0, 0.0)) -> Table:
    return {kind: sessions.uar(rule, gate) for kind, sessions in kinds.items()}


def mean(tables: Sequence[Table]) -> Table:
    """By kind the mean over the corpora that have it."""
    return {
        kind: float(np.mean([table[kind] for table in tables if kind in table]))
        for kind in KINDS
        if any(kind in table for table in tables)
    }


def measured(found: Predictions, threshold: float) -> dict[str, Any]:
    """UAR with its interval over voices, calibration error, and what is answered, in percent."""
    return {
        "clips": len(found.files),
        "uar": evaluate.percent(evaluate.unweighted_average_recall(found.predicted, found.targets)),
        "uar_ci95": [
            evaluate.percent(end) for end in evaluate.interval(found, evaluate.unweighted_average_recall)
        ],
        "ece": round(evaluate.calibration_error(found, 1.0), 3),
        **evaluate.answers(found, 1.0, threshold),
    }


@torch.inference_mode()
def main(
    checkpoint: Annotated[str, typer.Option(help="name or folder of a checkpoint that adapts")] = "default",
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    cache: Annotated[Path | None, typer.Option(help="folder that keeps the embeddings")] = None,
    out: Annotated[Path, typer.Option(help="folder that the figures go to")] = OUT,
) -> None:
    """Prints and writes the table."""
    logging.basicConfig(level=logging.INFO)
    bundle, model = bundles.load(checkpoint)
    if not isinstance(model, WhisperAdaptive):
        raise typer.BadParameter(f"{checkpoint} judges each clip by itself: it has no gate")
    folder = cache or (default_folder() or Path("runs")) / "unseen"
    choosing: dict[str, dict[str, Sessions]] = {}
    reported: dict[str, dict[str, Sessions]] = {}
    turned_away: dict[str, float] = {}
    for corpus in CORPORA:
        own = read_corpus(data / corpus)
        own = drawn(own, MOST_CLIPS.get(corpus, len(own)))
        clips = unseen.read(corpus, own, folder, bundle, model)
        turned_away[corpus] = evaluate.percent(1 - model.familiar(clips.embeddings).double().mean().item())
        for parts, seeds in ((choosing, CHOOSING), (reported, REPORTED)):
            kinds = {kind: Sessions(bundle, model, clips, kind, seeds) for kind in KINDS}
            parts[corpus] = {kind: sessions for kind, sessions in kinds.items() if len(sessions.rows)}
    report: dict[str, Any] = {
        "command": f"python -m benchmarks.gate --checkpoint {bundle.name}",
        "checkpoint": bundle.name,
        "sha256": bundle.sha256,
        "unlike_speech": turned_away,  # percent of the clips that the app gives no emotion
        "chosen_on_all": choose(list(choosing.values())),
        "corpora": {},
    }
    for corpus, kinds in reported.items():
        gate = choose([others for other, others in choosing.items() if other != corpus])
        report["corpora"][corpus] = {"gate_chosen_on_the_others": gate} | {
            kind: {rule: measured(sessions.judged(rule, gate), bundle.threshold) for rule in RULES}
            for kind, sessions in kinds.items()
        }
    report["mean"] = summary(report["corpora"])
    path = out / f"gate_{bundle.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for corpus, kinds in {**report["corpora"], "mean": report["mean"]}.items():
        typer.echo(f"{corpus}, gate {kinds.get('gate_chosen_on_the_others', '')}")
        for rule in RULES:
            cells = (f"{kind} {kinds[kind][rule]['uar']:5.1f}" for kind in KINDS if kind in kinds)
            typer.echo(f"  {rule:>17}: " + "  ".join(cells))
    typer.echo(f"chosen on all: {report['chosen_on_all']}")


def summary(corpora: dict[str, Any]) -> dict[str, Any]:
    """By kind and rule the means over the corpora that have the kind; `all`: over the kinds."""
    names = ("uar", "ece", "answered", "accuracy_of_answered")
    found: dict[str, Any] = {
        kind: {
            rule: {
                name: round(
                    float(np.mean([of[kind][rule][name] for of in corpora.values() if kind in of])), 3
                )
                for name in names
            }
            for rule in RULES
        }
        for kind in KINDS
    }
    every = {
        rule: {
            name: round(float(np.mean([kinds[rule][name] for kinds in found.values()])), 3) for name in names
        }
        for rule in RULES
    }
    return found | {"all": every}


if __name__ == "__main__":
    typer.run(main)
