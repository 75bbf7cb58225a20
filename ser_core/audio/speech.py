"""Cuts speech clips out of audio that arrives in blocks.

Files and live audio both go through `SpeechStream`, so both give the same clips.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ser_core.audio.quality import Quality, QualityMeter
from ser_core.audio.vad import OFFSET_MIN, Segmenter, Span, VadOptions
from ser_core.audio.waveform import Samples as Samples


@dataclass(frozen=True)
class Clip:
    """A stretch of speech: its place in the recording, and its samples at 16 kHz."""

    span: Span
    samples: Samples


class SpeechStream:
    """Detects speech and cuts it into clips. It buffers only the samples that a later clip may need.

    >>> stream = SpeechStream()
    >>> stream.push(np.zeros(16_000, np.float32)), stream.flush(), stream.samples_read
    ([], [], 16000)
    """

    def __init__(self) -> None:
        self.samples_read = 0
        self._segmenter = Segmenter(VadOptions())
        self._meter = QualityMeter()
        self._buffer = _SampleBuffer()

    def push(self, block: Samples) -> list[Clip]:
        """The clips that `block` completes: mono at 16 kHz, shape (n_samples,), any length, in [-1, 1]."""
        self._meter.push(block)
        self._buffer.append(block)
        self.samples_read += len(block)
        clips = self._cut(self._segmenter.push(block))
        self._buffer.drop_before(self._segmenter.keep_from)
        return clips

    def flush(self) -> list[Clip]:
        """The clips that are left when the audio has ended; push nothing after it."""
        clips = self._cut(self._segmenter.flush())
        self._buffer.drop_before(self.samples_read)
        return clips

    @property
    def open_span(self) -> Span | None:
        """The span of the segment that is being spoken, up to the last speech; None in silence.

        It ends at `samples_read` at most. The clip that comes of it has the same start.
        """
        start, end = self._segmenter.open_start, self._segmenter.open_end
        return None if start is None else Span(start, min(end, self.samples_read))

    def cut(self, span: Span) -> Clip:
        """A clip of `span`, which lies within `open_span`; the samples are copied, without a DC offset."""
        return self._buffer.clip(span)

    def quality(self) -> Quality:
        """The quality of all samples pushed so far."""
        return self._meter.report()

    def _cut(self, spans: Iterable[Span]) -> list[Clip]:
        return [self.cut(span) for span in spans]


def cut(blocks: Iterable[Samples], spans: Iterable[Span]) -> Iterator[Clip]:
    """The clips of `spans`, in order and without overlap, from `blocks` of sound, `(n_samples,)` each.

    As `SpeechStream.cut` gives them for the same spans.

    >>> [len(clip.samples) for clip in cut([np.zeros(9, np.float32)] * 2, [Span(3, 5), Span(8, 12)])]
    [2, 4]
    """
    buffer, samples_read, waiting = _SampleBuffer(), 0, deque(spans)
    for block in blocks:
        buffer.append(block)
        samples_read += len(block)
        while waiting and waiting[0].end <= samples_read:
            yield buffer.clip(waiting.popleft())
        buffer.drop_before(waiting[0].start if waiting else samples_read)


class _SampleBuffer:
    """The latest samples of a stream, addressed by sample index from the start of the stream."""

    def __init__(self) -> None:
        self._first = 0  # index of the first sample in the buffer
        self._blocks: deque[Samples] = deque()

    def append(self, block: Samples) -> None:
        self._blocks.append(block)

    def clip(self, span: Span) -> Clip:
        """A clip of `span`; its samples are copied, so that the blocks can be freed, without a DC offset."""
        blocks = np.concatenate(self._blocks)
        samples = blocks[span.start - self._first : span.end - self._first].copy()
        offset = samples.mean()
        if abs(offset) >= OFFSET_MIN:  # it would count as level
            samples -= offset
        return Clip(span, samples)

    def drop_before(self, index: int) -> None:
        """Drops the blocks that end at sample `index` or earlier."""
        while self._blocks and self._first + len(self._blocks[0]) <= index:
            self._first += len(self._blocks.popleft())
