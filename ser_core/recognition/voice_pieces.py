"""Cuts a speech span into pieces of one voice each, with a vector for the voice in each.

The segmentation network says where the voice changes in a span, also without a pause; which voice it is, it
does not know beyond the span, and a change of emotion looks like another voice to it. Pieces are therefore
compared by their vectors.

What becomes of a span depends on its own sound alone. So live sound gives the same pieces as a file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ser_core.audio.vad import Span
from ser_core.audio.waveform import SAMPLE_RATE, Samples
from ser_core.models.campplus import HOP_SAMPLES, WINDOW_SAMPLES, fbank
from ser_core.models.voice_segmentation import HOP_SAMPLES as FRAME_SAMPLES
from ser_core.models.voice_segmentation import POWERSET, VoiceSegmentation

MIN_SEGMENTED = SAMPLE_RATE // 2  # a shorter span is not segmented
MAX_PIECE = 3 * SAMPLE_RATE
MIN_RUN_S = 0.35  # a voice that is heard for less between two others is not cut out
MIN_EMBEDDED = WINDOW_SAMPLES + 14 * HOP_SAMPLES  # 0.17 s: shorter pieces get no vector
SMOOTH_FRAMES = 15  # 0.25 s
MIN_SPEECH = 0.4  # mean probability of any voice, under which a piece is music or noise (docs/voices.md)
LOCAL_VOICES = 3
# (class, voice): which voices speak in each class; and the classes with two of them.
MEMBERS = np.array([[float(voice in voices) for voice in range(LOCAL_VOICES)] for voices in POWERSET])
TWO = np.array([len(voices) == 2 for voices in POWERSET])

Speaker = Callable[[torch.Tensor], torch.Tensor]  # `CAMPlusPlus`, or the same in ONNX Runtime


@dataclass(frozen=True)
class Piece:
    """At most 3 s of a span in which one voice speaks."""

    span: Span
    owner: int  # index of the speech span that it is part of
    local: int  # the voice of the segmentation network, within its span only
    overlap: float  # share of its speech in which the network hears two voices, 0 to 1
    embedding: NDArray[np.float32] | None  # (192,), of length 1; None: too short for one, or not heard
    heard: bool = True  # the segmentation network hears a voice, and not music or noise


class PieceCutter:
    """Cuts spans into pieces. It holds both networks and may be used by threads."""

    def __init__(self, segmentation: VoiceSegmentation, speaker: Speaker) -> None:
        self._segmentation, self._speaker = segmentation, speaker

    def pieces(self, samples: Samples, span: Span, owner: int) -> list[Piece]:
        """The pieces of `span`, of at most 10 s, with its `samples` (n_samples,); they cover it."""
        with torch.inference_mode():
            dominant, both, nobody = self._local_voices(samples)
            features = fbank(torch.from_numpy(samples)) if len(samples) >= WINDOW_SAMPLES else None
            pieces = []
            for start, stop, local in _shortened(_runs(dominant, len(samples))):
                heard = 1 - _mean(nobody, start, stop) >= MIN_SPEECH
                pieces.append(
                    Piece(
                        Span(span.start + start, span.start + stop),
                        owner,
                        local,
                        _mean(both, start, stop),
                        self._embedding(features, start, stop) if heard else None,
                        heard,
                    )
                )
            return pieces

    def _local_voices(
        self, samples: Samples
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Of each frame: the loudest local voice, and the probabilities of two voices at once and of none."""
        if len(samples) < MIN_SEGMENTED:
            return np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
        output = self._segmentation(torch.from_numpy(samples)[None, None])[0]
        probabilities = output.exp().double().numpy()  # (frame, class)
        kernel = np.ones(SMOOTH_FRAMES) / SMOOTH_FRAMES
        activity = np.stack(  # (frame, voice)
            [np.convolve(column, kernel, "same") for column in (probabilities @ MEMBERS).T], axis=1
        )
        both, nobody = probabilities[:, TWO].sum(axis=1), probabilities[:, 0]
        return np.asarray(activity.argmax(axis=1)), np.asarray(both), np.asarray(nobody)

    def _embedding(self, features: torch.Tensor | None, start: int, stop: int) -> NDArray[np.float32] | None:
        """The vector, of length 1, of samples `start` to `stop` of the span."""
        if features is None or stop - start < MIN_EMBEDDED:
            return None
        first = -(-start // HOP_SAMPLES)
        own = features[first : (stop - WINDOW_SAMPLES) // HOP_SAMPLES + 1]
        vector = self._speaker((own - own.mean(0))[None])[0]
        return np.asarray((vector / vector.norm().clamp(min=1e-6)).numpy())


def _shortened(runs: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """The same stretches in parts of at most `MAX_PIECE`."""
    for start, stop, local in runs:
        cuts = np.linspace(start, stop, max(1, -(-(stop - start) // MAX_PIECE)) + 1).astype(int).tolist()
        yield from ((low, high, local) for low, high in pairwise(cuts))


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
