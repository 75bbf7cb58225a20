"""A recording as it is stored: a part of a file, and blocks of samples at their own rate and channels."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

BLOCK_S = 10.0  # length of the blocks a recording is read in
MAX_PLACE = 2**60  # in a file; a header can name one further away, which C cannot count
MAX_BLOCK_FRAMES = 480_000  # 10 s at 48 kHz; bounds memory at higher rates


@dataclass(frozen=True)
class Block:
    """A stretch of sound as it is stored. Rate and channels may change from block to block."""

    samples: NDArray[np.float32]  # (frame, channel), not yet checked
    sample_rate: int  # Hz

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Recording:
    """An opened recording: what its header says, and its samples."""

    sample_rate: int  # Hz, at the start
    channels: int  # at the start
    duration_s: float | None  # by the header, or of what is there; None where nothing tells it
    blocks: Iterator[Block]
    warnings: list[str] = field(default_factory=list)  # complete when the last block was read
    present: float = 1.0  # share of the declared bytes of sound that is there, above 0


class Part(io.RawIOBase, BinaryIO):
    """The bytes from `start` to `end` of a file, as a file.

    `patch`: a place in it, and bytes that stand in for those that are there.
    """

    def __init__(self, file: BinaryIO, start: int, end: int, patch: tuple[int, bytes] = (0, b"")) -> None:
        self._file, self._start, self._size, self._patch = file, start, max(end - start, 0), patch
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Place in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves as `io.RawIOBase.seek`, but no further back than the start, nor to where no file reaches.

        libsndfile seeks through a callback, whose exceptions would only be printed.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = min(max(base + offset, 0), MAX_PLACE)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes; all that are left where it is negative."""
        left = max(self._size - self._at, 0)
        self._file.seek(self._start + self._at)
        content = self._file.read(left if size is None or size < 0 else min(size, left))
        place, patch = self._patch
        first, last = max(place - self._at, 0), min(place + len(patch) - self._at, len(content))
        if first < last:
            patch = patch[self._at + first - place :][: last - first]
            content = content[:first] + patch + content[last:]
        self._at += len(content)
        return content

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fills `buffer` as far as there are bytes; how many there were."""
        if self._at >= self._patch[0] + len(self._patch[1]):  # as in nearly all calls of libsndfile
            self._file.seek(self._start + self._at)
            left = max(self._size - self._at, 0)
            count: int = self._file.readinto(memoryview(buffer)[:left])  # type: ignore[attr-defined]
            self._at += count
            return count
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def part(self, start: int, end: int, patch: tuple[int, bytes] = (0, b"")) -> "Part":
        """A part of this part, without its patch."""
        return Part(self._file, self._start + start, self._start + min(end, self._size), patch)


def block_frames(sample_rate: int) -> int:
    """Frames of a block at `sample_rate` in Hz."""
    return min(round(BLOCK_S * sample_rate), MAX_BLOCK_FRAMES)
