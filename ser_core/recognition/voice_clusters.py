"""Which pieces of speech are of one voice, and how many voices there are.

Vectors of one recording share its room and microphone, so that all of them are alike, and how much so differs
from recording to recording. Ward's linkage (Ward 1963, "Hierarchical grouping to optimize an objective
function") depends on differences alone, so what is common does not count. It gives a grouping for each
number of voices. Which number is right is told by the evidence of `VoiceSpace`, against the number itself and
against dividing what the segmentation network hears as one voice; `NumberWeights` weigh these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.models.voice_space import VoiceSpace, weight_of
from ser_core.recognition.voice_pieces import Piece

Floats = NDArray[np.float64]

LONG_S = 0.8  # shorter pieces wait until the voices stand: their vectors are too uncertain
MIN_VOICE_S = 3.0  # a voice that speaks less is given to the nearest, unless the number is known
MAX_VOICES = 8  # that are found without being told
MAX_GROUPS = 24  # into which speech is cut to find that many voices of MIN_VOICE_S
MAX_POINTS = 2000  # pieces that are compared pair by pair; of more, means of similar pieces in each stretch
STRETCH = 1000  # pieces in such a stretch
TRUSTED_PAIRS = 3  # pairs of pieces that are heard as one voice, beside those there are
UNSURE = 0.02  # cosine by which a piece must be nearer to its voice than to the next


@dataclass(frozen=True)
class NumberWeights:
    """Weights of what speaks for a number of voices; fitted by benchmarks/voices.py."""

    gain: float = 0.34  # log-evidence of the voices against a single one
    log_voices: float = -3.1
    divided: float = -6.22  # share of pairs heard as one voice that are given to two

    def as_array(self) -> Floats:
        """In the order of `evidence`."""
        return np.array(list(vars(self).values()))


@dataclass(frozen=True)
class Points:
    """What is grouped: pieces, or means of similar pieces."""

    vectors: Floats  # (point, 192)
    seconds: Floats  # (point,)
    weight: Floats  # (point,): of its pieces, as `voice_space.weight_of` gives it
    together: NDArray[np.int64]  # (pair, 2): points of pieces of one span that the network hears as one voice


Grouping = NDArray[np.int64]  # (point,): the voice of each point


def voices_of(
    pieces: Sequence[Piece],
    space: VoiceSpace,
    voices: int | None = None,
    weights: NumberWeights = NumberWeights(),
    margin: float = UNSURE,
) -> list[int | None]:
    """The voice of each piece, numbered in order of first appearance; None: about equally near to two.

    None too where no voice is heard in a piece, unless all that is heard is one voice. `voices`: their number
    where it is known, at least 1. Fewer are found where there are fewer pieces. `margin`: see `UNSURE`.
    """
    heard = [index for index, piece in enumerate(pieces) if piece.embedding is not None]
    if not heard:
        return [0] * len(pieces)
    points = points_of([pieces[index] for index in heard])
    if voices is None:
        candidates = list(groupings(points).values())
        grouping = candidates[int((evidence(points, candidates, space) @ weights.as_array()).argmax())]
    else:
        grouping = grouping_into(points, voices)
    centres = np.array([_mean(points, grouping == voice) for voice in range(grouping.max() + 1)])
    vectors = np.array([pieces[index].embedding for index in heard], np.float64)
    found = _filled(_nearest(vectors, centres, margin), heard, len(pieces))
    if len(centres) > 1:
        found = [voice if piece.heard else None for voice, piece in zip(found, pieces, strict=True)]
    return _numbered(found)


def points_of(pieces: Sequence[Piece]) -> Points:
    """Those of `pieces`, which have vectors, that are long enough to be grouped; thinned out if very many."""
    seconds = np.array([_seconds(piece) for piece in pieces])
    order = np.argsort(-seconds, kind="stable")
    chosen = np.sort(order[: max(2, int((seconds >= LONG_S).sum()))]).tolist()
    pieces, seconds = [pieces[index] for index in chosen], seconds[chosen]
    vectors = np.array([piece.embedding for piece in pieces], np.float64)
    point = np.arange(len(pieces))  # of each piece
    if len(pieces) > MAX_POINTS:
        stretches = np.array_split(np.arange(len(pieces)), -(-len(pieces) // STRETCH))
        for stretch in stretches:
            tree = linkage(vectors[stretch], "ward")
            groups = fcluster(tree, max(MAX_VOICES, MAX_POINTS // len(stretches)), "maxclust")
            point[stretch] = groups + (point[stretch[0] - 1] + 1 if stretch[0] else 0)
        point = np.unique(point, return_inverse=True)[1]
    members = csr_array((seconds, (point, np.arange(len(pieces)))))  # (point, piece)
    return Points(
        members @ vectors / members.sum(axis=1)[:, None],
        members.sum(axis=1),
        np.bincount(point, weight_of(seconds)).astype(np.float64),
        point[_together(pieces)],
    )


def _together(pieces: Sequence[Piece]) -> NDArray[np.int64]:
    """(pair, 2): indices of pieces of one span that the segmentation network hears as one voice."""
    pairs = []
    for index, piece in enumerate(pieces):
        for other in range(index + 1, len(pieces)):
            if pieces[other].owner != piece.owner:
                break
            if pieces[other].local == piece.local:
                pairs.append((index, other))
    return np.array(pairs, np.int64).reshape(-1, 2)


def groupings(points: Points) -> dict[int, Grouping]:
    """A grouping for each number of voices up to `MAX_VOICES`, of `MIN_VOICE_S` each at least."""
    found: dict[int, Grouping] = {}
    for groups in _cut(points.vectors):
        lengths = np.bincount(groups, points.seconds)
        kept = np.flatnonzero(lengths >= MIN_VOICE_S)
        if 0 < len(kept) <= MAX_VOICES and len(kept) not in found:
            found[len(kept)] = _moved(points, groups, kept)
    return found or {1: np.zeros(len(points.vectors), np.int64)}


def _cut(vectors: Floats) -> list[Grouping]:
    """The groups of Ward's linkage, if there are 1, 2, … of them, up to `MAX_GROUPS`."""
    count = len(vectors)
    node = np.arange(count)  # of the tree, that each point belongs to
    cuts = [node] if count <= MAX_GROUPS else []
    merges = linkage(vectors, "ward")[:, :2] if count > 1 else np.zeros((0, 2))
    for number, merged in enumerate(merges, start=1):
        node = np.where(np.isin(node, merged), count + number - 1, node)
        if count - number <= MAX_GROUPS:
            cuts.append(np.unique(node, return_inverse=True)[1])
    return cuts[::-1]


def grouping_into(points: Points, voices: int) -> Grouping:
    """A grouping into so many voices, of `MIN_VOICE_S` each where there is one."""
    if voices <= MAX_VOICES and voices in (found := groupings(points)):
        return found[voices]
    if len(points.vectors) <= voices:
        return np.arange(len(points.vectors))
    groups = fcluster(linkage(points.vectors, "ward"), voices, "maxclust")
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def evidence(points: Points, candidates: Sequence[Grouping], space: VoiceSpace) -> Floats:
    """What speaks for each of `candidates`, `(candidate, 3)`, in the order of `NumberWeights`."""
    voices = np.array(candidates)[:, points.together]  # (candidate, pair, 2)
    divided = (voices[..., 0] != voices[..., 1]).sum(axis=1) / (voices.shape[1] + TRUSTED_PAIRS)
    gain = space.log_evidence(points.vectors, points.weight, candidates)
    return np.stack([gain, np.log(np.max(candidates, axis=1) + 1), divided], axis=1)


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


def _nearest(vectors: Floats, centres: Floats, margin: float) -> list[int | None]:
    """The nearest of `centres` for each vector; None if the next is as near, up to `margin`."""
    if len(centres) == 1:
        return [0] * len(vectors)
    # Half the squared distance to a centre, up to what is the same for all centres.
    nearness = vectors @ centres.T - (centres**2).sum(axis=1) / 2
    best = nearness.argmax(axis=1)
    ranked = np.sort(nearness, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] >= margin
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
