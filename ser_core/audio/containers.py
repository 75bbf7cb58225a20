"""Opens untrusted bytes as a recording: header fields, and an iterator over the stored samples.

The content decides the format, never the file name. soundfile (libsndfile) reads WAV, FLAC, Ogg and Opus;
PyAV (FFmpeg) reads MP4/M4A, WebM and MP3. It also reads WAV or FLAC whose header was never completed, as
streaming recorders leave it. FFmpeg reads MP3 because libsndfile loses half of a variable-rate MP3 without a
Xing header and lets mpg123 write to stderr. FFmpeg gets the container format and our file object: it guesses
no format and opens nothing else, such as a URL, a playlist or a file that another file refers to.
"""

import os
import re
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import av.container
import numpy as np
import soundfile
from numpy.typing import NDArray

from ser_core.errors import AudioError

FORMATS = "WAV, FLAC, MP3, Ogg, Opus, M4A, MP4 or WebM"

BLOCK_S = 10.0  # length of the blocks in which a recording is read
MAX_BLOCK_FRAMES = 480_000  # 10 s at 48 kHz; bounds memory at higher rates
HEAD_BYTES = 65_536  # enough to detect the format

# FFmpeg's names of the decoders that recordings of speech need. FFmpeg may use no others: it probes every
# track, and a cover picture of 50 kB in an MP3 took 400 MB.
CODECS = (
    *("aac", "alac", "mp2", "mp3", "mp3float", "flac", "opus", "libopus", "vorbis", "ac3", "eac3", "amrnb"),
    *("amrwb", "libopencore_amrnb", "libopencore_amrwb", "pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8"),
    *(f"pcm_{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")),
)

# libsndfile's own numbers for headers that it refuses to open (sndfile/src/common.h, SFE_*).
_SFE_BAD_RATE, _SFE_TOO_MANY_CHANNELS = 24, 33
_FRAMES_UNKNOWN = 2**63 - 1  # libsndfile's SF_COUNT_MAX

# The sample count in the boxes of an MP4's index. It follows version and flags, and in `stsz` a size that all
# samples share.
_CLAIMED_SAMPLES = re.compile(rb"(?:stsz.{8}|trun.{4})(.{4})", re.DOTALL)

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """An opened recording: its header fields, and its samples."""

    sample_rate: int  # Hz
    channels: int
    frames: int | None  # as declared; None if the header does not say
    blocks: Iterator[Samples]  # mono, shape (n_frames,), at `sample_rate`, not yet checked


def open_recording(file: BinaryIO) -> AbstractContextManager[Recording]:
    """The recording in `file`, in any supported format. Only the header is read; `blocks` reads the samples.

    Raises:
        AudioError: here if nothing in the file can be decoded; from `blocks` if the data end too soon.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head:
        raise AudioError("empty", "The file is empty (0 bytes). Record or copy it again.")
    kind = _kind(head)
    if kind is None:
        raise AudioError(
            "unsupported_format",
            f"This is not a recording in a format that can be read here. Save or export it as {FORMATS}.",
        )
    if kind in ("wav", "flac", "ogg"):
        sound_file = _open_soundfile(file)
        if 0 < sound_file.frames < _FRAMES_UNKNOWN:
            return _with_soundfile(sound_file)
        sound_file.close()
        file.seek(0)  # the length was never written: FFmpeg reads to the end of the data
    if kind == "mov":
        _check_index(file)
    # Only a Xing or Info header holds an MP3's length; FFmpeg's estimate without one can be far off.
    length_known = kind != "mp3" or b"Xing" in head or b"Info" in head
    return _with_av(file, kind, length_known)


def _kind(head: bytes) -> str | None:
    """FFmpeg's name for the container that starts with `head`; None if the format is not supported."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mov"
    for magic, kind in (
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"\x1aE\xdf\xa3", "matroska"),
    ):
        if head.startswith(magic):
            return kind
    if head.startswith(b"ID3"):  # a tag of title and artist; its length is four times 7 bits
        tag_bytes = 10 + int("".join(f"{byte:07b}" for byte in head[6:10]) or "0", 2)
        return "flac" if head[tag_bytes:].startswith(b"fLaC") else "mp3"
    # An MPEG audio frame: 11 sync bits, then neither the reserved version, rate and bit rate nor layer I
    # (which a UTF-16 text would pass for) or layer 0 (reserved).
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
        if version != 1 and layer in (1, 2) and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3:
            return "mp3"
    return None


def _check_index(file: BinaryIO) -> None:
    """Rejects an MP4 whose index claims more samples than the file has bytes; rewinds the file.

    FFmpeg allocates 24 bytes for each claimed sample before it reads any: one damaged number in a file of
    4 kB takes gigabytes. The worker's memory limit (`ser_core.audio.isolated`) covers what this check misses.

    Raises:
        AudioError: with code `corrupt`.
    """
    size, offset = file.seek(0, os.SEEK_END), 0
    while offset + 8 <= size:
        file.seek(offset)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:  # the length follows, in 64 bits
            length = int.from_bytes(file.read(8))
        if name in (b"moov", b"moof"):
            index = file.read(min(length or size, size))
            if any(int.from_bytes(claimed) > size for claimed in _CLAIMED_SAMPLES.findall(index)):
                raise _corrupt()
        offset = offset + length if length >= 8 else size  # 0: up to the end of the file
    file.seek(0)


def _corrupt() -> AudioError:
    return AudioError(
        "corrupt",
        "The file is damaged or incomplete: nothing in it can be played. Copy, download or export it again.",
    )


def truncated(seconds: float) -> AudioError:
    """The error for data that end, or become unreadable, after `seconds`."""
    return AudioError(
        "truncated",
        f"Only the first {seconds:.1f} s can be read: the file was cut off or is damaged. "
        "Copy, download or export it again.",
    )


def bad_sample_rate(sample_rate: int) -> AudioError:
    """The error for a header whose `sample_rate` in Hz is outside the limits."""
    return AudioError(
        "bad_sample_rate",
        f"The file claims {sample_rate} samples a second, which no recording of speech has. "
        "Its header is probably damaged: export it again, at 16000 or 48000 Hz.",
    )


def too_many_channels() -> AudioError:
    """The error for a header with more channels than the limit."""
    return AudioError(
        "too_many_channels",
        "The file claims more channels than can be read here. Export it as mono or stereo.",
    )


def _open_soundfile(file: BinaryIO) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        if error.code == _SFE_BAD_RATE:
            raise bad_sample_rate(0) from None
        if error.code == _SFE_TOO_MANY_CHANNELS:
            raise too_many_channels() from None
        raise _corrupt() from None


@contextmanager
def _with_soundfile(sound_file: soundfile.SoundFile) -> Iterator[Recording]:
    def blocks() -> Iterator[Samples]:
        size = _block_frames(sound_file.samplerate)
        read = 0
        while True:
            try:
                block = sound_file.read(size, dtype="float32", always_2d=True)  # (frame, channel)
            except (soundfile.LibsndfileError, ValueError):  # ValueError: it is past its own end
                raise truncated(read / sound_file.samplerate) from None
            if not len(block):
                return
            read += len(block)
            yield _mono(block, channel_axis=1)

    with sound_file:
        yield Recording(sound_file.samplerate, sound_file.channels, sound_file.frames, blocks())


@contextmanager
def _with_av(file: BinaryIO, kind: str, length_known: bool) -> Iterator[Recording]:
    try:
        options = {"protocol_whitelist": "none", "codec_whitelist": ",".join(CODECS)}
        container = av.open(file, "r", format=kind, options=options)
    except (av.FFmpegError, ValueError):
        raise _corrupt() from None
    with container:
        if not container.streams.audio:
            raise AudioError("no_audio", "This video has no sound. Choose a recording in which one speaks.")
        track = container.streams.audio[0]
        if track.codec_context is None or track.codec_context.name not in CODECS:
            raise AudioError(
                "unsupported_format",
                f"The sound in this file is coded in an unknown way. Export it as {FORMATS}.",
            )
        if track.duration and track.time_base:
            duration_s: float | None = float(track.duration * track.time_base)
        else:
            duration_s = container.duration / 1e6 if container.duration else None  # FFmpeg counts in µs
        frames = round(duration_s * track.rate) if duration_s and length_known else None
        # MP3s often have tags or padding after the last frame: skip it, as players do.
        blocks = _av_blocks(container, track, skip_bad_packets=kind == "mp3")
        yield Recording(track.rate, track.channels, frames, blocks)


def _av_blocks(
    container: av.container.InputContainer, track: av.AudioStream, skip_bad_packets: bool
) -> Iterator[Samples]:
    """Mono blocks of one audio track; video and subtitles are not decoded."""
    size = _block_frames(track.rate)
    # Interleaved, because PyAV crashes when it reads a ninth plane.
    to_float = av.AudioResampler(format="flt", layout=track.layout, rate=track.rate)
    parts: list[Samples] = []
    pending = read = 0  # frames in `parts`, frames yielded
    # Channels, rate and sample format: damaged packets change them.
    first_format: tuple[int, int, str] | None = None
    try:
        for packet in container.demux(track):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if not skip_bad_packets:
                    raise
                continue
            for frame in frames:
                frame_format = (frame.layout.nb_channels, frame.sample_rate, frame.format.name)
                first_format = first_format or frame_format
                if frame_format != first_format:
                    raise ValueError("the format changes on the way")
                for part in to_float.resample(frame):
                    interleaved = part.to_ndarray().reshape(-1, frame_format[0])  # (frame, channel)
                    parts.append(_mono(interleaved, channel_axis=1))
                    pending += part.samples
            if pending >= size:
                yield np.concatenate(parts)
                read, pending, parts = read + pending, 0, []
    except (av.FFmpegError, ValueError, IndexError):  # IndexError: a track that starts late (Ogg)
        if not read + pending:
            raise _corrupt() from None
        raise truncated((read + pending) / track.rate) from None
    if parts:
        yield np.concatenate(parts)


def _mono(block: NDArray[Any], channel_axis: int) -> Samples:
    with np.errstate(invalid="ignore", over="ignore"):  # the caller checks for values that are not finite
        return np.asarray(block.mean(axis=channel_axis), np.float32)


def _block_frames(sample_rate: int) -> int:
    return min(round(BLOCK_S * sample_rate), MAX_BLOCK_FRAMES)
