"""Speech cut out of sound that arrives in blocks: the one way from sound to what the model hears.

Files and live sound both go through `SpeechStream`, so that both give the same clips.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ser_core.audio.quality import Quality, QualityMeter
from ser_core.audio.vad import Segmenter, Span, VadOptions
from ser_core.audio.waveform import Samples as Samples


@dataclass(frozen=True)
class Clip:
    """A stretch of speech: where it lies in the recording, and its sound."""

    span: Span
    samples: Samples


class SpeechStream:
    """Finds and cuts out speech; of the sound it holds only what a coming clip may need.

    >>> stream = SpeechStream()
    >>> stream.push(np.zeros(16_000, np.float32)), stream.flush(), stream.heard
    ([], [], 16000)
    """

    def __init__(self) -> None:
        self.heard = 0  # samples
        self._segmenter = Segmenter(VadOptions())
        self._meter = QualityMeter()
        self._tail = _Tail()

    def push(self, block: Samples) -> list[Clip]:
        """The clips that end with `block`: mono at 16 kHz, shape (n_samples,), any length, in [-1, 1]."""
        self._meter.push(block)
        self._tail.append(block)
        self.heard += len(block)
        clips = self._cut(self._segmenter.push(block))
        self._tail.forget(self._segmenter.keep_from)
        return clips

    def flush(self) -> list[Clip]:
        """The clips left when the sound has ended; push nothing after it."""
        clips = self._cut(self._segmenter.flush())
        self._tail.forget(self.heard)
        return clips

    @property
    def open_span(self) -> Span | None:
        """The stretch being spoken, up to its last word and at most to what was heard; None in silence.

        It will end in a clip that starts where it does.
        """
        start, end = self._segmenter.open_start, self._segmenter.open_end
        return None if start is None else Span(start, min(end, self.heard))

    def cut(self, span: Span) -> Clip:
        """A copy of a part of `open_span`."""
        return Clip(span, self._tail.cut(span))

    def quality(self) -> Quality:
        """The quality of all that was heard."""
        return self._meter.report()

    def _cut(self, spans: Iterable[Span]) -> list[Clip]:
        return [self.cut(span) for span in spans]


class _Tail:
    """The end of a stream, addressed by sample index from the stream's start."""

    def __init__(self) -> None:
        self._first = 0  # index of the first sample held
        self._blocks: deque[Samples] = deque()

    def append(self, block: Samples) -> None:
        self._blocks.append(block)

    def cut(self, span: Span) -> Samples:
        """A copy of the samples in `span`, so that the stream itself can go."""
        held = np.concatenate(self._blocks)
        return held[span.start - self._first : span.end - self._first].copy()

    def forget(self, before: int) -> None:
        """Drops the blocks that end at sample `before` or earlier."""
        while self._blocks and self._first + len(self._blocks[0]) <= before:
            self._first += len(self._blocks.popleft())
