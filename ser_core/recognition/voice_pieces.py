"""Cuts a speech span into pieces of one voice each, with a vector for the voice in each.

The segmentation network says where the voice changes in a span, also without a pause; which voice it is, it
does not know beyond the span, and a change of emotion looks like another voice to it. Pieces are therefore
compared by their vectors.

The lower part of the speaker encoder reads each stretch between two changes of voice as a whole, and the
upper part reads the pieces of it. A model of emotions that reads the same lower part need not compute it
again.

What becomes of a span depends on its own sound alone. So live sound gives the same pieces as a file.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ser_core.audio.vad import Span
from ser_core.audio.waveform import SAMPLE_RATE, Samples
from ser_core.models.blocks import mean_and_deviation
from ser_core.models.campplus import STEP_SAMPLES
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import KaldiFilterbank, fbank_of
from ser_core.models.middle_states import MiddleStates
from ser_core.models.voice_networks import VoiceNetworks
from ser_core.models.voice_segmentation import HOP_SAMPLES as FRAME_SAMPLES
from ser_core.models.voice_segmentation import POWERSET

MIN_SEGMENTED = SAMPLE_RATE // 2  # a shorter span is not segmented
MAX_PIECE = 3 * SAMPLE_RATE
MIN_RUN_S = 0.35  # a voice that is heard for less between two others is not cut out
MIN_EMBEDDED = 8 * STEP_SAMPLES  # 0.16 s: shorter pieces get no vector
SMOOTH_FRAMES = 15  # 0.25 s
MIN_SPEECH = 0.4  # mean probability of any voice, under which a piece is music or noise (docs/voices.md)
LOCAL_VOICES = 3
# (class, voice): which voices speak in each class; and the classes with two of them.
MEMBERS = np.array([[float(voice in voices) for voice in range(LOCAL_VOICES)] for voices in POWERSET])
TWO = np.array([len(voices) == 2 for voices in POWERSET])


@dataclass(frozen=True, eq=False)
class Stretch:
    """A part of a span between two changes of voice."""

    span: Span
    middle: MiddleStates | None  # None: too short, or not heard


@dataclass(frozen=True)
class Piece:
    """At most 3 s of a span in which one voice speaks."""

    span: Span
    owner: int  # index of the speech span that it is part of
    local: int  # the voice of the segmentation network, within its span only
    overlap: float  # share of its speech in which the network hears two voices, 0 to 1
    embedding: NDArray[np.float32] | None  # (192,), of length 1; None: too short for one, or not heard
    heard: bool = True  # the segmentation network hears a voice, and not music or noise
    stretch: Stretch | None = None  # that it is part of, where its hidden states are kept


class PieceCutter:
    """Cuts spans into pieces. It holds the networks and may be used by threads."""

    def __init__(self, networks: VoiceNetworks, middle_weights: str) -> None:
        """`middle_weights`: of the speaker encoder, see `VoicesCheckpoint`."""
        self._networks, self._weights = networks, middle_weights
        self._fbank = KaldiFilterbank(FeatureSpec())

    def pieces(self, samples: Samples, span: Span, owner: int) -> list[Piece]:
        """The pieces of `span`, of at most 10 s, with its `samples` (n_samples,); they cover it."""
        dominant, both, nobody = self._local_voices(samples)
        pieces = []
        for first, last, local in _runs(dominant, len(samples)):
            cuts = np.linspace(first, last, max(1, -(-(last - first) // MAX_PIECE)) + 1).astype(int).tolist()
            heard = [1 - _mean(nobody, start, stop) >= MIN_SPEECH for start, stop in pairwise(cuts)]
            states = self._states(samples[first:last]) if any(heard) else None
            stretch = Stretch(Span(span.start + first, span.start + last), self._middle(states))
            for (start, stop), is_heard in zip(pairwise(cuts), heard, strict=True):
                pieces.append(
                    Piece(
                        Span(span.start + start, span.start + stop),
                        owner,
                        local,
                        _mean(both, start, stop),
                        self._embedding(states, start - first, stop - first) if is_heard else None,
                        is_heard,
                        stretch,
                    )
                )
        return pieces

    def _local_voices(
        self, samples: Samples
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Of each frame: the loudest local voice, and the probabilities of two voices at once and of none."""
        if len(samples) < MIN_SEGMENTED:
            return np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
        probabilities = np.exp(self._networks.segmentation(samples).astype(np.float64))  # (frame, class)
        kernel = np.ones(SMOOTH_FRAMES) / SMOOTH_FRAMES
        activity = np.stack(  # (frame, voice)
            [np.convolve(column, kernel, "same") for column in (probabilities @ MEMBERS).T], axis=1
        )
        both, nobody = probabilities[:, TWO].sum(axis=1), probabilities[:, 0]
        return np.asarray(activity.argmax(axis=1)), np.asarray(both), np.asarray(nobody)

    def _states(self, samples: Samples) -> NDArray[np.float32] | None:
        """The lower part's hidden states `(step, 1024)` of a stretch, with its `samples`."""
        if len(samples) < MIN_EMBEDDED:
            return None
        return self._networks.lower(fbank_of(torch.from_numpy(samples), self._fbank).numpy())

    def _middle(self, states: NDArray[np.float32] | None) -> MiddleStates | None:
        if states is None:
            return None
        rows = torch.from_numpy(states)[None]  # (1, step, 1024)
        pooled = mean_and_deviation(rows, torch.ones(1, len(states), dtype=torch.bool))
        return MiddleStates(pooled[0].numpy(), self._weights)

    def _embedding(
        self, states: NDArray[np.float32] | None, start: int, stop: int
    ) -> NDArray[np.float32] | None:
        """The vector, of length 1, of samples `start` to `stop` of a stretch with these `states`."""
        if states is None or stop - start < MIN_EMBEDDED:
            return None
        vector = self._networks.upper(states[round(start / STEP_SAMPLES) : round(stop / STEP_SAMPLES)])
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6))


def _mean(values: NDArray[np.float64], start: int, stop: int) -> float:
    """The mean of `values`, of frames, over samples `start` to `stop`."""
    inside = values[_frame(start, len(values)) : _frame(stop, len(values))]
    return float(inside.mean()) if len(inside) else 0.0


def _frame(sample: int, frames: int) -> int:
    """The frame of the segmentation network whose middle is nearest to a sample of its span."""
    return min(frames, max(0, round((sample - 495) / FRAME_SAMPLES)))


def _runs(dominant: NDArray[np.int64], n_samples: int) -> list[tuple[int, int, int]]:
    """(start, stop, voice), in samples of a span, of the stretches in which one voice is the loudest.

    A stretch under `MIN_RUN_S` goes to its longer neighbour.
    """
    edges = [0, *(np.flatnonzero(np.diff(dominant)) + 1).tolist(), len(dominant)]
    runs = [[low, high, int(dominant[low])] for low, high in pairwise(edges)]
    least = MIN_RUN_S * SAMPLE_RATE / FRAME_SAMPLES
    while len(runs) > 1:
        index = min(range(len(runs)), key=lambda at: runs[at][1] - runs[at][0])
        if runs[index][1] - runs[index][0] >= least:
            break
        neighbours = [at for at in (index - 1, index + 1) if 0 <= at < len(runs)]
        runs[index][2] = runs[max(neighbours, key=lambda at: runs[at][1] - runs[at][0])][2]
        joined: list[list[int]] = []
        for low, high, voice in runs:
            if joined and joined[-1][2] == voice:
                joined[-1][1] = high
            else:
                joined.append([low, high, voice])
        runs = joined
    scale = n_samples / max(1, len(dominant))
    return [(round(low * scale), round(high * scale), voice) for low, high, voice in runs]
