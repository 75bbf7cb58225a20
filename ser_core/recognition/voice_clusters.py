"""Which pieces of speech are of one voice, and how many voices there are.

Vectors of one recording share its room and microphone, so that all of them are alike, and how much so differs
from recording to recording. Ward's linkage (Ward 1963, "Hierarchical grouping to optimize an objective
function") depends on differences alone, so what is common does not count. It gives a grouping for each
number of voices. Which number is right is told by how well separated its voices are (silhouette; Rousseeuw
1987), how alike its two most similar voices are, how alike the pieces of its least uniform voice are, and how
long its shortest voice speaks, weighed by `NumberWeights`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.recognition.voice_pieces import Piece

Floats = NDArray[np.float64]

LONG_S = 0.8  # shorter pieces wait until the voices stand: their vectors are too uncertain
MIN_VOICE_S = 3.0  # a voice that speaks less is given to the nearest, unless the number is known
MAX_VOICES = 8  # that are found without being told
MAX_GROUPS = 24  # into which speech is cut to find that many voices of MIN_VOICE_S
MAX_POINTS = 2000  # pieces that are compared pair by pair; of more, means of similar pieces in each stretch
STRETCH = 1000  # pieces in such a stretch
CAP_S = 10.0  # more speech of a voice than this says no more about whether it is one
ALIKE, TRUST_S2 = (
    0.55,
    9.0,
)  # cosine of two pieces of one voice, and how firmly it is held to (s²)
UNSURE = 0.02  # cosine by which a piece must be nearer to its voice than to the next


@dataclass(frozen=True)
class NumberWeights:
    """Weights of what speaks for a number of voices; fitted by benchmarks/voices.py."""

    silhouette: float = 10.02
    alike: float = -10.33  # the mean cosine between the two most similar voices
    uniform: float = 17.31  # the mean cosine within the least uniform voice
    log_voices: float = 0.34
    one: float = 0.65  # there is a single voice
    log_shortest: float = 3.74  # seconds of the voice that speaks least, at most CAP_S

    def as_array(self) -> Floats:
        """In the order of `evidence`."""
        return np.array(list(vars(self).values()))


@dataclass(frozen=True)
class Points:
    """What is grouped: pieces, or means of similar pieces."""

    vectors: Floats  # (point, 192)
    seconds: Floats  # (point,)


Grouping = NDArray[np.int64]  # (point,): the voice of each point


def voices_of(
    pieces: Sequence[Piece], voices: int | None = None, weights: NumberWeights = NumberWeights()
) -> list[int | None]:
    """The voice of each piece, numbered in order of first appearance; None: about equally near to two.

    `voices`: their number where it is known, at least 1. Fewer are found where there are fewer pieces.
    """
    heard = [index for index, piece in enumerate(pieces) if piece.embedding is not None]
    if not heard:
        return [0] * len(pieces)
    vectors = np.array([pieces[index].embedding for index in heard], np.float64)
    seconds = np.array([_seconds(pieces[index]) for index in heard])
    points = points_of(vectors, seconds)
    if voices is None:
        candidates = groupings(points)
        number = max(candidates, key=lambda n: float(evidence(points, candidates[n]) @ weights.as_array()))
        grouping = candidates[number]
    else:
        grouping = grouping_into(points, voices)
    centres = np.array([_mean(points, grouping == voice) for voice in range(grouping.max() + 1)])
    return _numbered(_filled(_nearest(vectors, centres), heard, len(pieces)))


def points_of(vectors: Floats, seconds: Floats) -> Points:
    """The pieces that are long enough to be grouped, thinned out where there are very many."""
    order = np.argsort(-seconds, kind="stable")
    chosen = np.sort(order[: max(2, int((seconds >= LONG_S).sum()))])
    points = Points(vectors[chosen], seconds[chosen])
    if len(chosen) <= MAX_POINTS:
        return points
    stretches = np.array_split(np.arange(len(chosen)), -(-len(chosen) // STRETCH))
    means, lengths = [], []
    for stretch in stretches:
        tree = linkage(points.vectors[stretch], "ward")
        groups = fcluster(tree, max(MAX_VOICES, MAX_POINTS // len(stretches)), "maxclust")
        for group in np.unique(groups):
            members = stretch[groups == group]
            means.append(np.average(points.vectors[members], axis=0, weights=points.seconds[members]))
            lengths.append(points.seconds[members].sum())
    return Points(np.array(means), np.array(lengths))


def groupings(points: Points) -> dict[int, Grouping]:
    """A grouping for each number of voices up to `MAX_VOICES`, of `MIN_VOICE_S` each at least."""
    found: dict[int, Grouping] = {}
    tree = linkage(points.vectors, "ward") if len(points.vectors) > 1 else None
    for count in range(1, min(MAX_GROUPS, len(points.vectors)) + 1):
        groups = np.ones(1, np.int64) if tree is None else fcluster(tree, count, "maxclust")
        lengths = np.bincount(groups, points.seconds)
        kept = np.flatnonzero(lengths >= MIN_VOICE_S)
        if 0 < len(kept) <= MAX_VOICES and len(kept) not in found:
            found[len(kept)] = _moved(points, groups, kept)
    return found or {1: np.zeros(len(points.vectors), np.int64)}


def grouping_into(points: Points, voices: int) -> Grouping:
    """A grouping into so many voices, of `MIN_VOICE_S` each where there is one."""
    if voices <= MAX_VOICES and voices in (found := groupings(points)):
        return found[voices]
    if len(points.vectors) <= voices:
        return np.arange(len(points.vectors))
    groups = fcluster(linkage(points.vectors, "ward"), voices, "maxclust")
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def evidence(points: Points, grouping: Grouping) -> Floats:
    """What speaks for a grouping, `(6,)`, in the order of `NumberWeights`."""
    members = np.eye(grouping.max() + 1)[grouping].T  # (voice, point)
    weighted = members * points.seconds
    sums, lengths = weighted @ points.vectors, weighted.sum(axis=1)
    squares = (weighted**2).sum(axis=1)
    # Mean cosine of the pairs within a voice, without those of a piece with itself.
    within = ((sums**2).sum(axis=1) - squares + TRUST_S2 * ALIKE) / (lengths**2 - squares + TRUST_S2)
    between = sums @ sums.T / np.outer(lengths, lengths)
    np.fill_diagonal(between, -1)
    several = len(lengths) > 1
    shortest = np.log(max(0.1, min(lengths.min(), CAP_S)))
    return np.array(
        [
            _silhouette(points, members) if several else 0.0,
            between.max() if several else 0.0,
            within.min(),
            np.log(len(lengths)),
            float(not several),
            shortest,
        ]
    )


def _silhouette(points: Points, members: Floats) -> float:
    """The mean silhouette by cosine distance, weighed by seconds."""
    distances = np.maximum(0, 1 - points.vectors @ points.vectors.T)
    np.fill_diagonal(distances, 0)
    counts = members.sum(axis=1)
    sums = distances @ members.T  # (point, voice)
    own = members.T.astype(bool)
    inside = sums[own] / np.maximum(1, members.T @ counts - 1)
    outside = np.where(own, np.inf, sums / counts).min(axis=1)
    values = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-9)
    values[members.T @ counts == 1] = 0
    return float(np.average(values, weights=points.seconds))


def _moved(points: Points, groups: Grouping, kept: NDArray[np.int64]) -> Grouping:
    """`groups` numbered anew, those not in `kept` given to the nearest by their points."""
    centres = np.array([_mean(points, groups == group) for group in kept])
    nearest = ((points.vectors[:, None] - centres[None]) ** 2).sum(axis=-1).argmin(axis=1)
    numbers = {int(group): number for number, group in enumerate(kept)}
    return np.array(
        [numbers.get(int(group), near) for group, near in zip(groups, nearest, strict=True)], np.int64
    )


def _mean(points: Points, chosen: NDArray[np.bool_]) -> Floats:
    mean: Floats = np.average(points.vectors[chosen], axis=0, weights=points.seconds[chosen])
    return mean


def _nearest(vectors: Floats, centres: Floats) -> list[int | None]:
    """The nearest of `centres` for each vector; None if the next is as near."""
    if len(centres) == 1:
        return [0] * len(vectors)
    # Half the squared distance to a centre, up to what is the same for all centres.
    nearness = vectors @ centres.T - (centres**2).sum(axis=1) / 2
    best = nearness.argmax(axis=1)
    ranked = np.sort(nearness, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] >= UNSURE
    return [int(voice) if sure else None for voice, sure in zip(best, clear, strict=True)]


def _filled(found: list[int | None], heard: list[int], count: int) -> list[int | None]:
    """The voice of each of `count` pieces: one that was too short for a vector has that of its neighbour."""
    nearest = np.searchsorted(heard, np.arange(count), side="right") - 1
    return [found[max(0, int(index))] for index in nearest]


def _numbered(found: list[int | None]) -> list[int | None]:
    """The same voices, numbered in order of first appearance."""
    order = {voice: number for number, voice in enumerate(dict.fromkeys(v for v in found if v is not None))}
    return [None if voice is None else order[voice] for voice in found]


def _seconds(piece: Piece) -> float:
    return (piece.span.end - piece.span.start) / SAMPLE_RATE
