"""Decodes untrusted audio files to mono waveforms at 16 kHz.

Rate, channels and length are checked in the header before samples are read. If the header is wrong or does
not say, reading stops at the limit. The codes of `AudioError` are in `ser_core.errors`.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr

from ser_core.audio.containers import (
    FORMATS,
    Recording,
    Samples,
    bad_sample_rate,
    open_recording,
    too_many_channels,
    truncated,
)
from ser_core.audio.waveform import SAMPLE_RATE, Waveform, join
from ser_core.errors import AudioError

MIN_SHARE_PRESENT = 0.9  # of the declared frames; with fewer, the file is truncated


@dataclass(frozen=True)
class DecodeLimits:
    """Limits for a recording. Rate, channels and declared length are checked before samples are read."""

    min_duration_s: float = 0.1
    max_duration_s: float | None = None  # None: no limit, for callers that stream
    min_sample_rate: int = 4_000  # Hz
    max_sample_rate: int = 384_000  # Hz
    max_channels: int = 8


def decode(source: Path | str | bytes, limits: DecodeLimits = DecodeLimits()) -> Waveform:
    """The whole recording as mono at 16 kHz: the blocks of `stream`, joined.

    Args:
        source: path of a file, or its content as bytes.
        limits: set `max_duration_s` for untrusted files; 500 kB of FLAC can hold an hour.

    Raises:
        AudioError: with one of the codes in `ser_core.errors`.
    """
    return join(stream(source, limits))


def stream(source: Path | str | bytes, limits: DecodeLimits = DecodeLimits()) -> Iterator[Samples]:
    """Yields the recording block by block: mono at 16 kHz, shape (n_samples,), about 10 s each.

    Memory is bounded for any length. Channels are averaged, samples clipped to [-1, 1].

    Raises:
        AudioError: on the first block if the header is outside the limits, on a later one if the data are.
    """
    with _open(source) as file, open_recording(file) as recording:
        _check_header(recording, limits)
        yield from _resampled(_checked(recording, limits), recording.sample_rate)


def _open(source: Path | str | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    try:
        if path.is_dir():
            raise AudioError("is_directory", "This is a folder, not a recording. Choose a file inside it.")
        if path.exists() and not path.is_file():  # a pipe or device would block or never end
            raise AudioError("unsupported_format", f"This is not an ordinary file. Choose a {FORMATS} file.")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise AudioError("not_found", "There is no such file. Check its name and folder.") from None
    except OSError:
        raise AudioError(
            "no_permission",
            "The system does not allow this file to be opened. Check its permissions, or copy it elsewhere.",
        ) from None


def _check_header(recording: Recording, limits: DecodeLimits) -> None:
    if not limits.min_sample_rate <= recording.sample_rate <= limits.max_sample_rate:
        raise bad_sample_rate(recording.sample_rate)
    if recording.channels > limits.max_channels:
        raise too_many_channels()
    if recording.frames is not None:
        _check_length(recording.frames / recording.sample_rate, limits, complete=True)


def _check_length(seconds: float, limits: DecodeLimits, complete: bool) -> None:
    if limits.max_duration_s is not None and seconds > limits.max_duration_s:
        raise AudioError(
            "too_long",
            f"The recording is {'' if complete else 'at least '}{_duration_text(seconds)} long; "
            f"the longest that is accepted here is {_duration_text(limits.max_duration_s)}. "
            "Cut it into shorter pieces.",
        )
    if complete and seconds < limits.min_duration_s:
        raise AudioError(
            "too_short",
            f"The recording holds {seconds:.2f} s of sound; at least {limits.min_duration_s:g} s are needed. "
            "Record it again, a little longer.",
        )


def _checked(recording: Recording, limits: DecodeLimits) -> Iterator[Samples]:
    """The recording's blocks, checked: finite, and within the limits whatever the header says."""
    read = 0
    for block in recording.blocks:
        read += len(block)
        _check_length(read / recording.sample_rate, limits, complete=False)
        if not np.isfinite(block).all():
            raise AudioError(
                "not_finite",
                "The recording holds samples that are not numbers (NaN or infinity). Export it again.",
            )
        yield block
    if recording.frames is not None and read < MIN_SHARE_PRESENT * recording.frames:
        raise truncated(read / recording.sample_rate)
    _check_length(read / recording.sample_rate, limits, complete=True)


def _resampled(blocks: Iterator[Samples], sample_rate: int) -> Iterator[Samples]:
    resampler = Resampler(sample_rate)
    yield from map(resampler.push, blocks)
    yield resampler.flush()


class Resampler:
    """Resamples audio that arrives in blocks to 16 kHz and clips it to [-1, 1].

    The result does not depend on where the blocks are cut.

    >>> resampler = Resampler(48_000)
    >>> len(resampler.push(np.zeros(48_000, np.float32))) + len(resampler.flush())
    16000
    """

    def __init__(self, sample_rate: int) -> None:
        self._stream = None
        if sample_rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")

    def push(self, block: Samples) -> Samples:
        """The samples at 16 kHz that `block` completes, both mono, shape (n_samples,).

        About 20 ms stay in the filter.
        """
        return self._convert(block, last=False)

    def flush(self) -> Samples:
        """The samples still in the filter, shape (n_samples,); push nothing after it."""
        return self._convert(np.zeros(0, np.float32), last=True)

    def _convert(self, block: Samples, last: bool) -> Samples:
        if self._stream is not None:
            block = self._stream.resample_chunk(block, last=last)
        return block.clip(-1.0, 1.0)


def _duration_text(seconds: float) -> str:
    """A duration as text, rounded up to seconds: `45 s`, `1 min 30 s`, `60 min`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return " ".join(filter(None, (f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")))
