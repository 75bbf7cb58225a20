"""Evaluation of session-adaptive models in simulated sessions of several kinds.

A session is a sequence of clips of one unseen speaker. As in a recording in the app, each clip is classified
with the clips before it; the model gets no labels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ser_core.emotions import LABELS
from ser_core.models.session import EXPLAINED, Session
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.corpora import Clip
from train.reports import evaluate
from train.reports.evaluate import Predictions

SEED = 0  # of the order of clips
NEUTRAL = LABELS.index("neutral")
SHORT_CLIPS = 10  # clips of a session of one emotion, or of mostly neutral speech
OTHERS = 3  # clips of a mostly neutral session that are not neutral

Rows = NDArray[np.int64]
Sessions = Callable[[Rows, Rows, np.random.Generator], Iterator[Rows]]


def every_emotion(rows: Rows, targets: Rows, rng: np.random.Generator) -> Iterator[Rows]:
    """One session: all clips of the speaker, in random order."""
    yield rng.permutation(rows)


def mostly_neutral(rows: Rows, targets: Rows, rng: np.random.Generator) -> Iterator[Rows]:
    """Sessions of ten clips, seven of them neutral (or fewer, if there are fewer).

    Each clip that is not neutral occurs in one session.
    """
    neutral = rows[targets[rows] == NEUTRAL]
    others = rng.permutation(rows[targets[rows] != NEUTRAL])
    for start in range(0, len(others), OTHERS):
        drawn = rng.permutation(neutral)[: SHORT_CLIPS - OTHERS]
        yield rng.permutation(np.concatenate([drawn, others[start : start + OTHERS]]))


def one_emotion(rows: Rows, targets: Rows, rng: np.random.Generator) -> Iterator[Rows]:
    """Sessions of ten clips of the same emotion, the hardest case for a session-adaptive model."""
    for label in np.unique(targets[rows]):
        label_rows = rng.permutation(rows[targets[rows] == label])
        for start in range(0, len(label_rows), SHORT_CLIPS):
            yield label_rows[start : start + SHORT_CLIPS]


KINDS: dict[str, Sessions] = {
    "every_emotion": every_emotion,
    "mostly_neutral": mostly_neutral,
    "one_emotion": one_emotion,
}


def by_themselves(model: WhisperAdaptive, clips: Sequence[Clip], embeddings: Tensor) -> Predictions:
    """Log-probabilities of `clips` by themselves, from their `embeddings` `(clip, size)`."""
    with torch.inference_mode():
        logits: NDArray[np.float64] = model.by_themselves(embeddings).double().numpy()
    return evaluate.predictions_of(clips, logits)


def in_sessions(
    model: WhisperAdaptive,
    clips: Predictions,
    embeddings: Tensor,
    kind: Sessions,
    explained: float = EXPLAINED,
) -> Predictions:
    """`clips` with their log-probabilities in sessions of `kind`; a clip may occur several times."""
    speakers = np.array([f"{c}/{s}" for c, s in zip(clips.corpora, clips.speakers, strict=True)])
    rng = np.random.default_rng(SEED)
    order: list[int] = []
    logits: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        for speaker in sorted(set(speakers)):
            for rows in kind(np.flatnonzero(speakers == speaker), clips.targets, rng):
                session = Session(explained)
                for row in rows.tolist():
                    order.append(row)
                    logits.append(session.judge(model, embeddings[row]).double().numpy())
                    session.keep(model, embeddings[row])
    return replace(evaluate.rows_of(clips, order), logits=np.stack(logits))


def together(
    model: WhisperAdaptive, clips: Predictions, embeddings: Tensor, session_names: Sequence[str]
) -> Predictions:
    """`clips` with their log-probabilities where all clips of a session are known from the start.

    `session_names` `(clip,)` names the session of each clip. This is what `analyze --one-voice` and `--alike`
    do with recordings.
    """
    logits = np.zeros_like(clips.logits)
    with torch.inference_mode():
        for name in sorted(set(session_names)):
            rows = [row for row, other in enumerate(session_names) if other == name]
            session = Session()
            for row in rows:
                session.keep(model, embeddings[row])
            session.settle()
            for row in rows:
                logits[row] = session.judge(model, embeddings[row]).double().numpy()
    return replace(clips, logits=logits)


def test(
    model: WhisperAdaptive, clips: Predictions, embeddings: Tensor, folder: Path, temperature: float
) -> dict[str, Any]:
    """Writes the predictions in each kind of session to `folder`; returns their metrics by kind."""
    metrics = {}
    for name, kind in KINDS.items():
        predictions = in_sessions(model, clips, embeddings, kind)
        evaluate.write(predictions, folder / file_of(name))
        metrics[name] = evaluate.measure(predictions, temperature)
    return metrics


def file_of(kind: str) -> str:
    """The file name of the predictions in sessions of `kind`."""
    return f"predictions_{kind}.csv"


def pooled(folders: Sequence[Path]) -> dict[str, Any]:
    """Accuracy and UAR by kind of session over the folds in `folders`; empty if a file is missing."""
    metrics: dict[str, Any] = {}
    for kind in KINDS:
        paths = [folder / file_of(kind) for folder in folders]
        if all(path.is_file() for path in paths):
            measured = evaluate.measure(evaluate.join([evaluate.read(path) for path in paths]))
            metrics[kind] = {key: measured[key] for key in ("accuracy", "accuracy_ci95", "uar", "uar_ci95")}
    return {"in_sessions": metrics} if metrics else {}


def among(folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """UAR among `labels` by kind of session of the run in `folder`; empty without session predictions."""
    metrics: dict[str, Any] = {}
    for kind in KINDS:
        if (folder / file_of(kind)).is_file():
            predictions = evaluate.read(folder / file_of(kind))
            measured = evaluate.measure(evaluate.among(predictions, labels))
            metrics[kind] = {key: measured[key] for key in ("uar", "uar_ci95")}
    return {"in_sessions": metrics} if metrics else {}
