"""Fits the joint model of voice and emotion in closed form, see `ser_core.models.joint`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from ser_core.models.joint import DIRECTIONS, JointModel
from train.errors import RunError

Rows = NDArray[np.float64]

PRINCIPAL = 384  # directions in which covariances are estimated
OVERSAMPLED = 32  # further ones while these are searched
DEVIATION_FLOOR = 1e-6  # of a number of the embedding
RIDGE = 1e-3  # of the mean variance of clips, added to each
ROUNDS = 20  # of alternating between means of emotions and of voices
PRIOR_CELLS = 0.5  # a voice of so many emotions is believed by half
STYLE_LOST = 1.2  # two means are taken away from a cell of five or six: what is left is scaled up
FLOOR = 0.02  # least eigenvalue of a covariance, of the mean
LEAST = 1e-4  # least variance of a direction


def fit(
    joint: JointModel, embeddings: Tensor, targets: Tensor, speakers: Sequence[str], corpora: Sequence[str]
) -> None:
    """Sets `joint` by clips with `embeddings` `(clip, size)`, whose classes are `targets` `(clip,)`.

    Corpora weigh as the root of their clips. A class without clips gets the mean of the others. The encoder
    must be as it was published: one that was tuned on these voices makes them look too clear.
    Raises RunError where no voice has two clips of one emotion.
    """
    corpus_names, corpus, counts = np.unique(list(corpora), return_inverse=True, return_counts=True)
    names = [f"{corpus_names[index]}/{speaker}" for index, speaker in zip(corpus, speakers, strict=True)]
    mean, matrix = _principal(embeddings)
    rows = (embeddings.numpy() - mean) @ matrix
    fitted = distribution(rows, targets.numpy(), names, counts[corpus] ** -0.5, len(joint.emotions))
    projection = matrix @ fitted.turn
    for buffer, values in (
        (joint.projection, projection),
        (joint.origin, mean @ projection),
        (joint.emotions, fitted.emotions),
        (joint.voice, fitted.voice),
        (joint.style, fitted.style),
        (joint.clip, fitted.clip),
    ):
        padded = torch.zeros_like(buffer) if buffer.ndim > 1 else torch.ones_like(buffer)
        padded[..., : values.shape[-1]] = torch.from_numpy(np.ascontiguousarray(values))
        buffer.copy_(padded)


def _principal(embeddings: Tensor) -> tuple[Rows, Rows]:
    """Mean `(size,)` and principal directions `(size, direction)` of standardised `embeddings`."""
    mean, deviation = embeddings.double().mean(0), embeddings.double().std(0, correction=0) + DEVIATION_FLOOR
    torch.manual_seed(0)
    standard = ((embeddings - mean) / deviation).float()
    _, _, directions = torch.svd_lowrank(standard, q=min(PRINCIPAL + OVERSAMPLED, *standard.shape), niter=3)
    return mean.numpy(), (directions[:, :PRINCIPAL].double() / deviation[:, None]).numpy()


class Distribution(NamedTuple):
    """Of clips over emotions and voices, in directions in which all covariances are diagonal."""

    emotions: Rows  # (class, direction) means
    voice: Rows  # (direction,) variances: between voices,
    style: Rows  # between voices in their way of an emotion,
    clip: Rows  # and between clips of a voice in one emotion
    turn: Rows  # (principal, direction) from the clips' numbers to these directions


def distribution(
    rows: Rows, labels: NDArray[np.int64], voices: Sequence[str], weights: Rows, classes: int
) -> Distribution:
    """Of clips `rows` `(clip, principal)` with `labels` `(clip,)` and `weights` `(clip,)`.

    Raises RunError where no voice has two clips of one emotion.
    """
    cells = _Cells.of(rows, labels, np.array(voices), weights)
    if cells.size.max() < 2:
        raise RunError("the option joint needs a voice with two clips of one emotion: leave joint out")
    emotions, offsets = cells.means(classes)
    present = np.unique(cells.what)
    emotions[np.setdiff1d(np.arange(classes), present)] = emotions[present].mean(0)
    width = emotions.shape[1]
    within = (cells.rest * cells.weights[:, None]).T @ cells.rest
    within /= (cells.share / cells.size * (cells.size - 1)).sum()
    within += RIDGE * np.trace(within) / width * np.eye(width)
    left = cells.mean - emotions[cells.what] - offsets[cells.who]
    w = cells.share / cells.share.sum()
    style = _positive(STYLE_LOST * (left * w[:, None]).T @ left - within * (w / cells.size).sum())
    w = np.bincount(cells.who, cells.share) / cells.share.sum()
    between = _positive((offsets * w[:, None]).T @ offsets)
    centred = emotions - emotions.mean(0)
    # The first directions tell emotions, the others voices.
    of_emotions = len(present) - 1
    told = _leading(centred.T @ centred / classes, between + style + within, of_emotions)
    basis = np.concatenate([told, _leading(between, within + style, DIRECTIONS - of_emotions)], axis=1)
    basis = np.linalg.qr(basis)[0]
    between, style, within = (basis.T @ matrix @ basis for matrix in (between, style, within))
    level, turn = scipy.linalg.eigh(between, within + style)
    return Distribution(
        emotions @ basis @ turn,
        np.maximum(level, LEAST),
        np.maximum(np.diag(turn.T @ style @ turn), LEAST),
        np.diag(turn.T @ within @ turn),
        basis @ turn,
    )


@dataclass(frozen=True)
class _Cells:
    """Clips by voice and emotion; a cell is one voice's clips of one emotion."""

    rest: Rows  # (clip, principal) from the mean of its cell
    weights: Rows  # (clip,)
    who: NDArray[np.int64]  # (cell,) voice
    what: NDArray[np.int64]  # (cell,) emotion
    size: NDArray[np.int64]  # (cell,) clips
    share: Rows  # (cell,) summed weights
    mean: Rows  # (cell, principal)

    @classmethod
    def of(cls, rows: Rows, labels: NDArray[np.int64], names: NDArray[np.str_], weights: Rows) -> "_Cells":
        """Of clips `rows` `(clip, principal)` of the voices `names`, with `weights` `(clip,)`."""
        speakers = np.unique(names, return_inverse=True)[1]
        (who, what), cell = np.unique(np.stack([speakers, labels]), axis=1, return_inverse=True)
        size = np.bincount(cell)
        mean = np.stack([np.bincount(cell, column) for column in rows.T], axis=1) / size[:, None]
        return cls(rows - mean[cell], weights, who, what, size, np.bincount(cell, weights), mean)

    def means(self, classes: int) -> tuple[Rows, Rows]:
        """Of emotions `(class, principal)` and how voices differ `(voice, principal)`.

        By turns, since most voices lack some emotion. Rows of emotions that nobody has are 0.
        """
        emotions = np.zeros((classes, self.mean.shape[1]))
        voices = np.zeros((self.who.max() + 1, self.mean.shape[1]))
        member = (self.who == np.arange(len(voices))[:, None]).astype(float)  # (voice, cell)
        cells = [(emotion, self.what == emotion) for emotion in np.unique(self.what)]
        for turn in range(ROUNDS + 1):
            for emotion, own in cells:
                emotions[emotion] = np.average(
                    self.mean[own] - voices[self.who[own]], axis=0, weights=self.share[own]
                )
            if turn < ROUNDS:
                voices = member @ (self.mean - emotions[self.what]) / (member.sum(1) + PRIOR_CELLS)[:, None]
        return emotions, voices


def _leading(signal: Rows, noise: Rows, count: int) -> Rows:
    """The `count` directions in which `signal` is largest against `noise`, `(principal, count)`."""
    directions: Rows = scipy.linalg.eigh(signal, noise)[1][:, ::-1][:, :count]
    return directions


def _positive(matrix: Rows) -> Rows:
    """The nearest covariance whose eigenvalues are not below FLOOR of their mean."""
    level, turn = np.linalg.eigh((matrix + matrix.T) / 2)
    positive: Rows = (turn * np.maximum(level, FLOOR * np.abs(level).mean())) @ turn.T
    return positive
