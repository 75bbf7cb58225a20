"""Waveforms, and decoding of untrusted audio bytes into them.

A file is refused by its header where it can be, before anything is read; where the header lies or does not
say, reading stops at the limit. The codes of `AudioError` are in `ser_core.errors`.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from ser_core.audio import faults
from ser_core.audio.channels import AUTO, EACH, MIX, Mixer, carry_different_speech
from ser_core.audio.containers import open_recording
from ser_core.audio.stored import Block, Recording
from ser_core.audio.waveform import SAMPLE_RATE, Samples, Waveform, join
from ser_core.errors import AudioError

LARGEST_SAMPLE = 1e9  # full scale is 1
MIN_SHARE_PRESENT = 0.9  # of the declared length; with less, the file was cut off
TRIED_CHANNELS = 2  # of a recording, that `auto` may hear apart: a call recorder's


@dataclass(frozen=True)
class DecodeLimits:
    """What a recording may be. Rate, channels and declared length are checked before anything is read."""

    min_duration_s: float = 0.1
    max_duration_s: float | None = None  # None: as long as it likes, for callers that stream
    min_sample_rate: int = 4_000  # Hz
    max_sample_rate: int = 384_000  # Hz
    max_channels: int = 8


def decode(source: Path | str | bytes, limits: DecodeLimits = DecodeLimits()) -> Waveform:
    """The whole recording as mono at 16 kHz: the blocks of `stream`, joined.

    Args:
        source: path of a file, or its content.
        limits: give `max_duration_s` for files of strangers; 500 kB of FLAC can hold an hour.

    Raises:
        AudioError: with one of the codes in `ser_core.errors`.
    """
    return join(stream(source, limits))


def stream(
    source: Path | str | bytes,
    limits: DecodeLimits = DecodeLimits(),
    warnings: list[str] | None = None,
    channels: str = MIX,
) -> Iterator[Samples]:
    """Yield the recording block by block: at 16 kHz, about 10 s each, samples clipped to [-1, 1].

    Memory stays bounded however long the recording is. What is missing of the recording, or was chosen from
    it, is added to `warnings`, each a sentence or two that begins with the fault's name and a colon.

    Args:
        source: path of a file, or its content.
        limits: of the recording.
        warnings: gets them.
        channels: `mix`: blocks are mono, `(n_samples,)`. `each`: blocks of a recording that starts with two
            channels or more are `(n_samples, channel)`; later blocks with fewer channels are silent in the
            rest, and those with more have them mixed into the last. `auto`: `each` where the recording has
            two channels and they carry different speech, else `mix`.

    Raises:
        AudioError: on the first block if the header is out of limits, later where the data are.
    """
    warnings = [] if warnings is None else warnings
    if channels == AUTO:
        channels = EACH if _differ(source, limits) else MIX
    with _open(source) as file, open_recording(file) as recording:
        _check_header(recording, limits)
        blocks = _checked(recording, limits)
        if channels == EACH and recording.channels > 1:
            yield from _apart(blocks, recording.channels)
            warnings += recording.warnings
            return
        mix = Mixer()
        yield from _resampled(blocks, mix)
        warnings += [*recording.warnings, *([mix.warning] if mix.warning else [])]


def _differ(source: Path | str | bytes, limits: DecodeLimits) -> bool:
    """Whether the recording has two channels that carry different speech; False where it cannot be read."""
    try:
        with _open(source) as file, open_recording(file) as recording:
            _check_header(recording, limits)
            if recording.channels != TRIED_CHANNELS:
                return False
            return carry_different_speech(_apart(_checked(recording, limits), TRIED_CHANNELS))
    except AudioError:  # is raised again where the recording is read
        return False


def _open(source: Path | str | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    try:
        if path.is_dir():
            raise AudioError("is_directory", "This is a folder, not a recording. Choose a file inside it.")
        if path.exists() and not path.is_file():  # a pipe or device would block or never end
            raise faults.unsupported("This is not an ordinary file")
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
        raise faults.bad_sample_rate(recording.sample_rate)
    if recording.channels > limits.max_channels:
        raise faults.too_many_channels()
    if recording.duration_s is not None:
        _check_longest(recording.duration_s, limits, complete=True)


def _check_longest(seconds: float, limits: DecodeLimits, complete: bool) -> None:
    if limits.max_duration_s is not None and seconds > limits.max_duration_s:
        raise AudioError(
            "too_long",
            f"The recording is {'' if complete else 'at least '}{_words(seconds)} long; the longest that is "
            f"accepted here is {_words(limits.max_duration_s)}. Cut it into shorter pieces.",
        )


def _check_shortest(seconds: float, limits: DecodeLimits) -> None:
    if seconds < limits.min_duration_s:
        raise AudioError(
            "too_short",
            f"The recording holds {seconds:.2f} s of sound; at least {limits.min_duration_s:g} s are needed. "
            "Record it again, a little longer.",
        )


def _checked(recording: Recording, limits: DecodeLimits) -> Iterator[Block]:
    """The recording's blocks, as long as they are finite and within the limits: headers can lie."""
    read_s = 0.0
    for block in recording.blocks:
        if not limits.min_sample_rate <= block.sample_rate <= limits.max_sample_rate:
            raise faults.bad_sample_rate(block.sample_rate)
        if block.samples.shape[1] > limits.max_channels:
            raise faults.too_many_channels()
        read_s += block.duration_s
        _check_longest(read_s, limits, complete=False)
        # NaN is neither. Resampling would make NaN of numbers that are far larger.
        lowest, highest = block.samples.min(initial=0.0), block.samples.max(initial=0.0)
        if not (lowest > -LARGEST_SAMPLE and highest < LARGEST_SAMPLE):
            raise AudioError(
                "not_finite",
                "The recording holds samples that are not numbers (NaN or infinity). Export it again.",
            )
        yield block
        del block  # before the next one is read
    # The length is the header's, or libsndfile and FFmpeg counted it from the bytes that are there.
    declared_s = max(recording.duration_s or 0.0, read_s / recording.present)
    if read_s < MIN_SHARE_PRESENT * declared_s:
        if read_s < limits.min_duration_s:
            raise faults.truncated(read_s)
        if faults.NO_END in recording.warnings:
            recording.warnings.remove(faults.NO_END)  # how much is missing says more
        recording.warnings.append(faults.cut_off(read_s, declared_s))
    _check_shortest(read_s, limits)


def _resampled(blocks: Iterator[Block], mix: Mixer) -> Iterator[Samples]:
    """Mono at 16 kHz; the rate may change from block to block."""
    resampler, sample_rate = None, 0
    for block in blocks:
        if resampler is None or block.sample_rate != sample_rate:
            if resampler:
                yield resampler.flush()
            resampler, sample_rate = Resampler(block.sample_rate), block.sample_rate
        yield resampler.push(mix(block))
        del block
    if resampler:
        yield resampler.flush()


def _apart(blocks: Iterator[Block], channels: int) -> Iterator[NDArray[np.float32]]:
    """Blocks `(n_samples, channel)` at 16 kHz, whatever rate and channels the stored ones change to."""
    same = (Block(_with_channels(block.samples, channels), block.sample_rate) for block in blocks)
    resamplers: list[Resampler] = []
    sample_rate = 0
    for block in same:
        if block.sample_rate != sample_rate:
            if resamplers:
                yield np.stack([resampler.flush() for resampler in resamplers], axis=1)
            sample_rate = block.sample_rate
            resamplers = [Resampler(sample_rate) for _ in range(channels)]
        pushed = zip(resamplers, block.samples.T, strict=True)
        yield np.stack([one.push(np.ascontiguousarray(channel)) for one, channel in pushed], axis=1)
    if resamplers:
        yield np.stack([resampler.flush() for resampler in resamplers], axis=1)


def _with_channels(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """`samples` (frame, channel) with `count` channels: what is missing is silent, the rest in the last."""
    missing = count - samples.shape[1]
    if missing >= 0:
        return np.pad(samples, ((0, 0), (0, missing))) if missing else samples
    rest = samples[:, count - 1 :].mean(axis=1, keepdims=True, dtype=np.float32)
    return np.concatenate([samples[:, : count - 1], rest], axis=1)


class Resampler:
    """Brings sound that arrives in blocks to 16 kHz and into [-1, 1]; where it is cut makes no difference.

    >>> resampler = Resampler(48_000)
    >>> len(resampler.push(np.zeros(48_000, np.float32))) + len(resampler.flush())
    16000
    """

    def __init__(self, sample_rate: int) -> None:
        self._stream = None
        if sample_rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")

    def push(self, block: Samples) -> Samples:
        """What can be said of `block`, mono of shape (n_samples,); some 20 ms stay in the filter."""
        return self._convert(block, last=False)

    def flush(self) -> Samples:
        """What the filter still holds; push nothing after it."""
        return self._convert(np.zeros(0, np.float32), last=True)

    def _convert(self, block: Samples, last: bool) -> Samples:
        if self._stream is not None:
            block = self._stream.resample_chunk(block, last=last)
        return block.clip(-1.0, 1.0)


def _words(seconds: float) -> str:
    """A duration as people say it: `45 s`, `1 min 30 s`, `60 min`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return " ".join(filter(None, (f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")))
