"""Predictions of a model on unseen clips, their metrics, and their CSV format."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score
from torch import Tensor, nn

from ser_core.checkpoint.calibration import expected_calibration_error, fit_temperature, probabilities
from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor, pad
from train.corpora import Clip
from train.data.cache import FeatureCache
from train.data.dataset import chunks
from train.data.speech import FULL_SCALE

BATCH_SIZE = 32
RESAMPLES = 2000  # bootstrap draws of speakers
INTERVAL = (2.5, 97.5)  # percentiles of a 95 % interval


@dataclass(frozen=True)
class Predictions:
    """Logits of unseen clips, with file, corpus, speaker and target of each row."""

    files: tuple[str, ...]
    corpora: tuple[str, ...]
    speakers: tuple[str, ...]
    targets: NDArray[np.int64]  # (clip,) index into LABELS
    logits: NDArray[np.float64]  # (clip, class)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each clip, `(clip,)`."""
        return self.logits.argmax(1)


def predict(
    model: nn.Module,
    extract: FeatureExtractor,
    clips: Sequence[Clip],
    device: str,
    cache: FeatureCache = FeatureCache(),
) -> Predictions:
    """Logits of `clips`; see `network_outputs`."""
    logits = network_outputs(model.eval().to(device), extract.to(device), clips, device, cache)
    return predictions_of(clips, logits.double().numpy())


def network_outputs(
    network: Callable[[Tensor, Tensor], Tensor],
    extract: FeatureExtractor,
    clips: Sequence[Clip],
    device: str,
    cache: FeatureCache = FeatureCache(),
) -> Tensor:
    """Outputs of `network` `(clip, size)`, float32, for the speech of each clip.

    Features are computed in float32, as in the app; `cache` provides speech, not features.
    """
    speech = cache.speech(clips)
    order = np.argsort([len(samples) for samples in speech], kind="stable")
    rows = []
    with torch.inference_mode():
        for indices in chunks(order, BATCH_SIZE):
            samples, lengths = pad([torch.from_numpy(speech[i] / FULL_SCALE) for i in indices])
            rows.append(network(*extract(samples.to(device), lengths.to(device))).float().cpu())
    return torch.cat(rows)[np.argsort(order)]


def predictions_of(clips: Sequence[Clip], logits: NDArray[np.float64]) -> Predictions:
    """`logits` `(clip, class)` with the metadata of `clips`."""
    return Predictions(
        files=tuple(clip.file for clip in clips),
        corpora=tuple(clip.corpus for clip in clips),
        speakers=tuple(clip.speaker for clip in clips),
        targets=np.array([LABELS.index(clip.emotion) for clip in clips]),
        logits=logits,
    )


def join(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of several runs (folds) as one table."""
    return Predictions(
        files=tuple(file for part in parts for file in part.files),
        corpora=tuple(corpus for part in parts for corpus in part.corpora),
        speakers=tuple(speaker for part in parts for speaker in part.speakers),
        targets=np.concatenate([part.targets for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
    )


def among(predictions: Predictions, labels: Sequence[str]) -> Predictions:
    """The clips whose target is in `labels`, with the logits of other classes set to -inf."""
    allowed = np.array([label in labels for label in LABELS])
    rows = rows_of(predictions, np.flatnonzero(allowed[predictions.targets]))
    return replace(rows, logits=np.where(allowed, rows.logits, -np.inf))


def rows_of(predictions: Predictions, indices: Sequence[int] | NDArray[np.int64]) -> Predictions:
    """The rows at `indices`, in that order; an index may occur several times."""
    return Predictions(
        files=tuple(predictions.files[i] for i in indices),
        corpora=tuple(predictions.corpora[i] for i in indices),
        speakers=tuple(predictions.speakers[i] for i in indices),
        targets=predictions.targets[indices],
        logits=predictions.logits[indices],
    )


def confident(
    predictions: Predictions, temperature: float, threshold: float, below: float = np.inf
) -> Predictions:
    """The clips whose highest probability is at least `threshold` (0 to 1) and less than `below`."""
    probs = probabilities(torch.from_numpy(predictions.logits), temperature)
    highest = probs.max(-1).values.numpy()
    return rows_of(predictions, np.flatnonzero((highest >= threshold) & (highest < below)))


def answers(predictions: Predictions, temperature: float, threshold: float) -> dict[str, float]:
    """Percent of clips whose highest probability reaches `threshold`, and the accuracy on them in percent."""
    answered = confident(predictions, temperature, threshold)
    return {
        "answered": percent(len(answered.files) / len(predictions.files)),
        "accuracy_of_answered": percent_correct(answered),
    }


def percent_correct(predictions: Predictions) -> float:
    """Accuracy in percent; 0 where there are no clips."""
    return percent(accuracy(predictions.predicted, predictions.targets)) if predictions.files else 0.0


def accuracy(predicted: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """Share of clips classified correctly, 0 to 1."""
    return float((predicted == targets).mean())


def unweighted_average_recall(
    predicted: Tensor | NDArray[np.int64], targets: Tensor | NDArray[np.int64]
) -> float:
    """Mean recall over the classes that occur in `targets`, 0 to 1."""
    predicted, targets = np.asarray(predicted), np.asarray(targets)
    clips = np.bincount(targets)
    correct = np.bincount(targets[predicted == targets], minlength=len(clips))
    return float(np.mean(correct[clips > 0] / clips[clips > 0]))


def macro_f1(predicted: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
    """Mean F1 over the classes in `targets`, 0 to 1."""
    return float(f1_score(targets, predicted, labels=np.unique(targets), average="macro", zero_division=0))


Metric = Callable[[NDArray[np.int64], NDArray[np.int64]], float]


def interval(predictions: Predictions, metric: Metric, seed: int = 0) -> tuple[float, float]:
    """95 % interval of `metric` over speakers: percentiles of a bootstrap that draws whole speakers.

    With one or two speakers it means little; tables therefore state the number of speakers.
    """
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(np.array(predictions.speakers) == s) for s in sorted(set(predictions.speakers))]
    values = []
    for _ in range(RESAMPLES):
        sample = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        values.append(metric(predictions.predicted[sample], predictions.targets[sample]))
    low, high = np.percentile(values, INTERVAL)
    return float(low), float(high)


def measure(predictions: Predictions, temperature: float = 1.0) -> dict[str, object]:
    """Metrics of one test part; accuracy, UAR and F1 in percent, with 95 % intervals over speakers."""
    predicted, targets = predictions.predicted, predictions.targets
    return {
        "clips": len(targets),
        "speakers": len(set(predictions.speakers)),
        "accuracy": percent(accuracy(predicted, targets)),
        "accuracy_ci95": [percent(value) for value in interval(predictions, accuracy)],
        "uar": percent(unweighted_average_recall(predicted, targets)),
        "uar_ci95": [percent(value) for value in interval(predictions, unweighted_average_recall)],
        "macro_f1": percent(macro_f1(predicted, targets)),
        "ece": round(calibration_error(predictions, temperature), 4),
    }


def calibration_error(predictions: Predictions, temperature: float) -> float:
    """The expected calibration error at `temperature`, 0 to 1."""
    probs = probabilities(torch.from_numpy(predictions.logits), temperature)
    return expected_calibration_error(probs, torch.from_numpy(predictions.targets))


def temperature_of(predictions: Predictions) -> float:
    """The temperature that calibrates `predictions`, which should be of unseen speakers."""
    return fit_temperature(torch.from_numpy(predictions.logits), torch.from_numpy(predictions.targets))


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """Counts `(class, class)`: rows are targets, columns predictions."""
    table: NDArray[np.int64] = confusion_matrix(
        predictions.targets, predictions.predicted, labels=range(len(LABELS))
    )
    return table


def percent(share: float) -> float:
    """A share as percent with two decimals."""
    return round(100 * share, 2)


def write(predictions: Predictions, path: Path) -> None:
    """Writes a CSV row for each clip: file, corpus, speaker, emotion, and a logit for each class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "corpus", "speaker", "emotion", *LABELS])
        for i, name in enumerate(predictions.files):
            logits = [f"{value:.5f}" for value in predictions.logits[i]]
            label = LABELS[predictions.targets[i]]
            writer.writerow([name, predictions.corpora[i], predictions.speakers[i], label, *logits])


def read(path: Path) -> Predictions:
    """The predictions in a CSV from `write`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Predictions(
        files=tuple(row["file"] for row in rows),
        corpora=tuple(row["corpus"] for row in rows),
        speakers=tuple(row["speaker"] for row in rows),
        targets=np.array([LABELS.index(row["emotion"]) for row in rows]),
        logits=np.array([[float(row[label]) for label in LABELS] for row in rows]),
    )
