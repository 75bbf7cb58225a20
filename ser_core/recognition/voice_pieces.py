"""Cuts speech spans into pieces of one voice each, with a vector for the voice in each.

Spans are joined to windows of at most 10 s, the length that the segmentation network knows. A span, which is
no longer than a window, is never divided between two. The network says where the voice changes, also without
a pause; which voice it is, it does not know beyond its window, and a change of emotion looks like another
voice to it. Pieces are therefore compared by their vectors.

What becomes of a span depends only on the sound of the spans before it and of those that share its window.
So a recording that is heard span by span gives the same pieces as one that is there at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ser_core.audio.vad import Span
from ser_core.audio.waveform import SAMPLE_RATE, Samples
from ser_core.models.campplus import HOP_SAMPLES, WINDOW_SAMPLES, CAMPlusPlus, fbank
from ser_core.models.voice_segmentation import HOP_SAMPLES as FRAME_SAMPLES
from ser_core.models.voice_segmentation import POWERSET, WINDOW_S, VoiceSegmentation

WINDOW = int(WINDOW_S * SAMPLE_RATE)
MIN_WINDOW = SAMPLE_RATE // 2  # shorter sound is not segmented
MAX_PIECE = 3 * SAMPLE_RATE
MIN_RUN_S = 0.35  # a voice that is heard for less between two others is not cut out
MIN_EMBEDDED = WINDOW_SAMPLES + 14 * HOP_SAMPLES  # 0.17 s: shorter pieces get no vector
SMOOTH_FRAMES = 15  # 0.25 s
VOICES_IN_WINDOW = 3
# (class, voice): which voices speak in each class; and the classes with two of them.
MEMBERS = np.array([[float(voice in voices) for voice in range(VOICES_IN_WINDOW)] for voices in POWERSET])
TWO = np.array([len(voices) == 2 for voices in POWERSET])


@dataclass(frozen=True)
class Piece:
    """At most 3 s of a span in which one voice speaks."""

    span: Span
    owner: int  # index of the speech span that it is part of
    window: int  # index of the window in which it was heard
    local: int  # the voice of the segmentation network, within its window only
    overlap: float  # share of its speech in which the network hears two voices, 0 to 1
    embedding: NDArray[np.float32] | None  # (192,), of length 1; None: too short for one


class PieceStream:
    """Hears the spans of a recording in their order; keeps the sound of the current window only."""

    def __init__(self, segmentation: VoiceSegmentation, speaker: CAMPlusPlus) -> None:
        self._segmentation, self._speaker = segmentation, speaker
        self._sounds: list[Samples] = []
        self._spans: list[Span] = []
        # Of the current window: vectors by their first and last sample, for when it is heard again.
        self._vectors: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._spans_before, self._windows_before = 0, 0

    def add(self, samples: Samples, span: Span) -> list[Piece]:
        """The pieces of the window that `span`, with its `samples`, no longer fits into; often none."""
        pieces: list[Piece] = []
        if self._spans and sum(map(len, self._sounds)) + len(samples) > WINDOW:
            pieces = self.flush()
        self._sounds.append(samples)
        self._spans.append(span)
        return pieces

    def flush(self) -> list[Piece]:
        """The pieces of the current window, which is closed by this."""
        pieces = self.peek()
        self._spans_before += len(self._spans)
        self._windows_before += 1
        self._sounds, self._spans, self._vectors = [], [], {}
        return pieces

    def peek(self, last: int | None = None) -> list[Piece]:
        """The pieces of the current window so far; only those of its `last` spans if that is given."""
        if not self._spans:
            return []
        sound = np.concatenate(self._sounds)
        shown = len(self._spans) if last is None else last
        with torch.inference_mode():
            dominant, both = self._local_voices(sound)
            features = fbank(torch.from_numpy(sound)) if len(sound) >= WINDOW_SAMPLES else None
            return list(self._pieces(dominant, both, features, shown))

    def _local_voices(self, sound: Samples) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of each frame of the window: the loudest local voice, and the probability of two at once."""
        if len(sound) < MIN_WINDOW:
            return np.zeros(1, np.int64), np.zeros(1)
        output = self._segmentation(torch.from_numpy(sound)[None, None])[0]
        probabilities = output.exp().double().numpy()  # (frame, class)
        kernel = np.ones(SMOOTH_FRAMES) / SMOOTH_FRAMES
        activity = np.stack(  # (frame, voice)
            [np.convolve(column, kernel, "same") for column in (probabilities @ MEMBERS).T], axis=1
        )
        return np.asarray(activity.argmax(axis=1)), np.asarray(probabilities[:, TWO].sum(axis=1))

    def _pieces(
        self,
        dominant: NDArray[np.int64],
        both: NDArray[np.float64],
        features: torch.Tensor | None,
        shown: int,
    ) -> Iterator[Piece]:
        """The pieces of the last `shown` spans, in order."""
        offset = 0  # of the span in the window, samples
        for index, (sound, span) in enumerate(zip(self._sounds, self._spans, strict=True)):
            if index >= len(self._spans) - shown:
                first, end = (_frame(at, len(dominant)) for at in (offset, offset + len(sound)))
                for start, stop, local in _runs(dominant[first : max(end, first + 1)], len(sound)):
                    cuts = np.linspace(start, stop, max(1, -(-(stop - start) // MAX_PIECE)) + 1).astype(int)
                    for low, high in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
                        inside = slice(*(_frame(offset + at, len(both)) for at in (low, high)))
                        yield Piece(
                            Span(span.start + low, span.start + high),
                            self._spans_before + index,
                            self._windows_before,
                            local,
                            float(both[inside].mean()) if len(both[inside]) else 0.0,
                            self._embedding(features, offset + low, offset + high),
                        )
            offset += len(sound)

    def _embedding(self, features: torch.Tensor | None, start: int, stop: int) -> NDArray[np.float32] | None:
        """The vector, of length 1, of samples `start` to `stop` of the window."""
        if features is None or stop - start < MIN_EMBEDDED:
            return None
        if (start, stop) not in self._vectors:
            first = -(-start // HOP_SAMPLES)
            own = features[first : (stop - WINDOW_SAMPLES) // HOP_SAMPLES + 1]
            vector = self._speaker((own - own.mean(0))[None])[0]
            self._vectors[start, stop] = (vector / vector.norm().clamp(min=1e-6)).numpy()
        return self._vectors[start, stop]


def _frame(sample: int, frames: int) -> int:
    """The frame of the segmentation network whose middle is nearest to a sample of its window."""
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
