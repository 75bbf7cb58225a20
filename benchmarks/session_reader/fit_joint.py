"""Fits the joint model of voice and emotion in closed form, on clips of voices that the network never heard.

`python -m benchmarks.session_reader.fit_joint CORPUS … --cache FOLDER --out joint.safetensors` reads
FOLDER/CORPUS.npz with the arrays `embedding` `(clip, size)` of a network, `label` and `speaker` `(clip,)`.
The script that wrote them was not kept. A network that was tuned on a voice makes it look too clear: give
corpora that it was not tuned on, or take what tuning left of embeddings as it was (`--key layer2`).
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from benchmarks.session_reader.joint_model import AXES, JointModel

Rows = NDArray[np.float64]

CLASSES = 8
LAYER_2 = 1024  # its mean and deviation come first in an embedding of whisper-base's layers 2 to 4
PRINCIPAL = 384  # directions in which covariances are estimated
DIRECTIONS = 48  # of these are kept
OF_EMOTION = CLASSES - 1  # the first of them tell emotions, the others voices
URNS = (0.3, 1.0, 10.0)
BEAM = 24
RIDGE = 1e-3  # of the mean variance of clips, added to each
ROUNDS = 20  # of alternating between means of emotions and of voices
PRIOR_CELLS = 0.5  # a voice of so many emotions is believed by half
STYLE_LOST = 1.2  # two means are taken away from a cell of five or six: what is left is scaled up
FLOOR = 0.02  # least eigenvalue of a covariance, of the mean
LEAST = 1e-4  # least variance of a direction


@dataclass(frozen=True)
class Corpus:
    """Clips of one corpus."""

    name: str
    embeddings: NDArray[np.float32]  # (clip, size)
    labels: NDArray[np.int64]  # (clip,)
    speakers: NDArray[np.str_]  # (clip,)


@dataclass(frozen=True)
class Principal:
    """Standardised embeddings in their principal directions."""

    mean: Rows  # (size,)
    matrix: Rows  # (size, PRINCIPAL): (embeddings - mean) @ matrix

    def __call__(self, embeddings: NDArray[np.float32]) -> Rows:
        """`(clip, PRINCIPAL)` of `embeddings` `(clip, size)`."""
        rows: Rows = (embeddings - self.mean) @ self.matrix
        return rows


def read(name: str, folder: Path, key: str = "embedding") -> Corpus:
    """The corpus called `name` from `folder`.

    `key`: `embedding`, all of it, or `layer2`, the part that the shipped network has as it was published.
    """
    with np.load(folder / f"{name}.npz") as found:
        rows = found["embedding"].astype(np.float32)
        return Corpus(name, rows[:, :LAYER_2] if key == "layer2" else rows, found["label"], found["speaker"])


def principal(embeddings: NDArray[np.float32], count: int = PRINCIPAL) -> Principal:
    """Of `embeddings` `(clip, size)`."""
    mean = embeddings.mean(0, dtype=np.float64)
    deviation = embeddings.std(0, dtype=np.float64) + 1e-6
    torch.manual_seed(0)
    rows = torch.from_numpy(((embeddings - mean) / deviation).astype(np.float32))
    _, _, directions = torch.svd_lowrank(rows, q=min(count + 32, *rows.shape), niter=3)
    return Principal(mean, directions[:, :count].double().numpy() / deviation[:, None])


def fit(
    corpora: Sequence[Corpus],
    directions: int = DIRECTIONS,
    urns: Sequence[float] = URNS,
    beam: int = BEAM,
    basis: Principal | None = None,
    tuned_on: Sequence[Corpus] = (),
) -> JointModel:
    """The joint model of `corpora`, each weighing as the root of its clips.

    `tuned_on`: corpora that the network knows. They only say where emotions lie that `corpora` lack, drawn in
    as far as the emotions of both lie closer together in `corpora`. An emotion of neither lies in the middle.
    """
    embeddings = np.concatenate([corpus.embeddings for corpus in corpora])
    basis = basis or principal(embeddings)
    cells = _Cells.of(corpora, basis)
    mu, offsets = cells.means()
    present = np.unique(cells.what)
    absent = np.setdiff1d(np.arange(CLASSES), present)
    mu[absent] = mu[present].mean(0)
    if tuned_on and len(absent):
        known = _Cells.of(tuned_on, basis)
        theirs, _ = known.means()
        both = np.intersect1d(present, known.what)
        apart, ours = theirs[both] - theirs[both].mean(0), mu[both] - mu[both].mean(0)
        drawn_in = (apart * ours).sum() / np.square(apart).sum()
        for emotion in np.intersect1d(absent, known.what):
            mu[emotion] = mu[both].mean(0) + drawn_in * (theirs[emotion] - theirs[both].mean(0))
    emotions, voice, style, clip, turn = _distribution(cells, mu, offsets, directions)
    centred = emotions - emotions.mean(0)
    axes = np.linalg.svd(centred / np.sqrt(clip), full_matrices=False)[2][:AXES].T / np.sqrt(clip)[:, None]
    projection = basis.matrix @ turn
    arrays = (projection, basis.mean @ projection, emotions, voice, style, clip, axes, np.array(urns))
    return JointModel(*(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays), beam=beam)


@dataclass(frozen=True)
class _Cells:
    """Clips by voice and emotion; a cell is one voice's clips of one emotion."""

    rest: Rows  # (clip, PRINCIPAL) from the mean of its cell
    weights: Rows  # (clip,)
    who: NDArray[np.int64]  # (cell,) voice
    what: NDArray[np.int64]  # (cell,) emotion
    size: NDArray[np.int64]  # (cell,) clips
    share: Rows  # (cell,) summed weights
    mean: Rows  # (cell, PRINCIPAL)

    @classmethod
    def of(cls, corpora: Sequence[Corpus], basis: Principal) -> "_Cells":
        """Of clips that weigh as one over the root of their corpus' clips."""
        z = np.concatenate([basis(corpus.embeddings) for corpus in corpora])
        labels = np.concatenate([corpus.labels for corpus in corpora])
        speakers = np.unique(np.concatenate([corpus.speakers for corpus in corpora]), return_inverse=True)[1]
        weights = np.concatenate([np.full(len(c.labels), len(c.labels) ** -0.5) for c in corpora])
        (who, what), cell = np.unique(np.stack([speakers, labels]), axis=1, return_inverse=True)
        size = np.bincount(cell)
        mean = np.stack([np.bincount(cell, column) for column in z.T], axis=1) / size[:, None]
        return cls(z - mean[cell], weights, who, what, size, np.bincount(cell, weights), mean)

    def means(self) -> tuple[Rows, Rows]:
        """Of emotions `(class, PRINCIPAL)` and how voices differ `(voice, PRINCIPAL)`.

        By turns, since most voices lack some emotion. Rows of emotions that nobody has are 0.
        """
        mu = np.zeros((CLASSES, self.mean.shape[1]))
        offsets = np.zeros((self.who.max() + 1, self.mean.shape[1]))
        member = (self.who == np.arange(len(offsets))[:, None]).astype(float)  # (voice, cell)
        emotions = [(emotion, self.what == emotion) for emotion in np.unique(self.what)]
        for turn in range(ROUNDS + 1):
            for emotion, own in emotions:
                mu[emotion] = np.average(
                    self.mean[own] - offsets[self.who[own]], axis=0, weights=self.share[own]
                )
            if turn < ROUNDS:
                offsets = member @ (self.mean - mu[self.what]) / (member.sum(1) + PRIOR_CELLS)[:, None]
        return mu, offsets


def _distribution(
    cells: _Cells, mu: Rows, offsets: Rows, directions: int
) -> tuple[Rows, Rows, Rows, Rows, Rows]:
    """Means of emotions `(class, direction)`; variances of voice, style and clip `(direction,)`; the turn
    `(PRINCIPAL, direction)` into the directions in which these are diagonal.
    """
    width = mu.shape[1]
    within = (cells.rest * cells.weights[:, None]).T @ cells.rest
    within /= (cells.share / cells.size * (cells.size - 1)).sum()
    within += RIDGE * np.trace(within) / width * np.eye(width)
    left = cells.mean - mu[cells.what] - offsets[cells.who]
    w = cells.share / cells.share.sum()
    style = _positive(STYLE_LOST * (left * w[:, None]).T @ left - within * (w / cells.size).sum())
    w = np.bincount(cells.who, cells.share) / cells.share.sum()
    between = _positive((offsets * w[:, None]).T @ offsets)
    centred = mu - mu.mean(0)
    of_emotion = _leading(centred.T @ centred / CLASSES, between + style + within, OF_EMOTION)
    of_voice = _leading(between, within + style, directions - OF_EMOTION)
    basis = np.linalg.qr(np.concatenate([of_emotion, of_voice], axis=1))[0]
    between, style, within = (basis.T @ matrix @ basis for matrix in (between, style, within))
    level, turn = scipy.linalg.eigh(between, within + style)
    return (
        mu @ basis @ turn,
        np.maximum(level, LEAST),
        np.maximum(np.diag(turn.T @ style @ turn), LEAST),
        np.diag(turn.T @ within @ turn),
        basis @ turn,
    )


def _leading(signal: Rows, noise: Rows, count: int) -> Rows:
    """The `count` directions in which `signal` is largest against `noise`, `(PRINCIPAL, count)`."""
    directions: Rows = scipy.linalg.eigh(signal, noise)[1][:, ::-1][:, :count]
    return directions


def _positive(matrix: Rows) -> Rows:
    """The nearest covariance whose eigenvalues are not below FLOOR of their mean."""
    level, turn = np.linalg.eigh((matrix + matrix.T) / 2)
    found: Rows = (turn * np.maximum(level, FLOOR * np.abs(level).mean())) @ turn.T
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--tuned-on", nargs="*", default=())
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--key", choices=("embedding", "layer2"), default="embedding")
    parser.add_argument("--out", type=Path, default=Path("joint.safetensors"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = time.time()
    names = (given.corpora, given.tuned_on)
    corpora, tuned_on = ([read(name, given.cache, given.key) for name in group] for group in names)
    model = fit(corpora, tuned_on=tuned_on)
    tensors = {k: v.contiguous() for k, v in vars(model).items() if isinstance(v, torch.Tensor)}
    save_file(tensors, given.out)
    shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
    print(f"{given.out}: {shapes}; fitted in {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
