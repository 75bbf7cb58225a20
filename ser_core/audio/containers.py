"""Untrusted bytes opened as a recording: what the header says, and the samples as they are stored.

The content decides what a file is, never its name. soundfile (libsndfile) reads WAV, FLAC, Ogg and Opus;
PyAV (FFmpeg) reads MP4/M4A, WebM and MP3, and WAV or FLAC whose header was never completed, as recorders
that stream leave it. MP3 is FFmpeg's because libsndfile loses half of a variable-rate MP3 without a Xing
header and lets mpg123 write to stderr. FFmpeg is told the container and reads through our file object: it
guesses no format and opens nothing else, be it a URL, a playlist or a file that another file names.
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

BLOCK_S = 10.0  # length of the blocks a recording is read in
MAX_BLOCK_FRAMES = 480_000  # 10 s at 48 kHz; bounds memory at higher rates
HEAD_BYTES = 65_536  # enough to tell the format

# FFmpeg's names of the decoders that recordings of speech need, and the only ones that it may use. It looks
# into every track to learn what it is: a cover picture of 50 kB in an MP3 took 400 MB.
CODECS = (
    *("aac", "alac", "mp2", "mp3", "mp3float", "flac", "opus", "libopus", "vorbis", "ac3", "eac3", "amrnb"),
    *("amrwb", "libopencore_amrnb", "libopencore_amrwb", "pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8"),
    *(f"pcm_{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")),
)

# libsndfile's own numbers for headers that it refuses to open (sndfile/src/common.h, SFE_*).
_SFE_BAD_RATE, _SFE_TOO_MANY_CHANNELS = 24, 33
_FRAMES_UNKNOWN = 2**63 - 1  # libsndfile's SF_COUNT_MAX

# Where the boxes of an MP4's index say how many samples there are: behind version, flags and, in the first, a
# size that holds for all of them.
_CLAIMED_SAMPLES = re.compile(rb"(?:stsz.{8}|trun.{4})(.{4})", re.DOTALL)

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """An opened recording: what its header says, and its samples."""

    sample_rate: int  # Hz
    channels: int
    frames: int | None  # as declared; None where the header does not know
    blocks: Iterator[Samples]  # mono, shape (n_frames,), at `sample_rate`, not yet checked


def open_recording(file: BinaryIO) -> AbstractContextManager[Recording]:
    """The recording in `file`, whatever its format; its header is read, its samples are not yet.

    Raises:
        AudioError: here where nothing in the file can be played, later where its data end too soon.
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
        sound = _open_soundfile(file)
        if 0 < sound.frames < _FRAMES_UNKNOWN:
            return _with_soundfile(sound)
        sound.close()
        file.seek(0)  # the length was never written: FFmpeg reads what is there
    if kind == "mov":
        _check_index(file)
    # Only a Xing or Info header tells an MP3's length; FFmpeg's guess without one can be far off.
    length_known = kind != "mp3" or b"Xing" in head or b"Info" in head
    return _with_av(file, kind, length_known)


def _kind(head: bytes) -> str | None:
    """FFmpeg's name for the container that starts with `head`; None if it is not one that we read."""
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
    """Refuses an MP4 whose index claims more samples than the file has bytes, and goes back to its start.

    FFmpeg makes 24 bytes of each claimed sample before it looks for any: a damaged number of a file of 4 kB
    takes gigabytes. A worker's limit (`ser_core.audio.isolated`) holds for what hides from this.
    """
    size, at = file.seek(0, os.SEEK_END), 0
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:  # it follows, in 64 bits
            length = int.from_bytes(file.read(8))
        if name in (b"moov", b"moof"):
            index = file.read(min(length or size, size))
            if any(int.from_bytes(claimed) > size for claimed in _CLAIMED_SAMPLES.findall(index)):
                raise _corrupt()
        at = at + length if length >= 8 else size  # 0: up to the end of the file
    file.seek(0)


def _corrupt() -> AudioError:
    return AudioError(
        "corrupt",
        "The file is damaged or incomplete: nothing in it can be played. Copy, download or export it again.",
    )


def truncated(seconds: float) -> AudioError:
    """The data end, or turn to garbage, after `seconds`."""
    return AudioError(
        "truncated",
        f"Only the first {seconds:.1f} s can be read: the file was cut off or is damaged. "
        "Copy, download or export it again.",
    )


def bad_sample_rate(sample_rate: int) -> AudioError:
    """The header claims a rate in Hz at which no one speaks, or no one could hear."""
    return AudioError(
        "bad_sample_rate",
        f"The file claims {sample_rate} samples a second, which no recording of speech has. "
        "Its header is probably damaged: export it again, at 16000 or 48000 Hz.",
    )


def too_many_channels() -> AudioError:
    """The header claims more channels than a recording of speech has."""
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
def _with_soundfile(sound: soundfile.SoundFile) -> Iterator[Recording]:
    def blocks() -> Iterator[Samples]:
        size = _block_frames(sound.samplerate)
        read = 0
        while True:
            try:
                block = sound.read(size, dtype="float32", always_2d=True)  # (frame, channel)
            except (soundfile.LibsndfileError, ValueError):  # ValueError: it stands behind its own end
                raise truncated(read / sound.samplerate) from None
            if not len(block):
                return
            read += len(block)
            yield _mono(block, channel_axis=1)

    with sound:
        yield Recording(sound.samplerate, sound.channels, sound.frames, blocks())


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
        # Junk behind the last frame (tags, padding) is common in MP3s: skip it, as players do.
        blocks = _av_blocks(container, track, skip_bad_packets=kind == "mp3")
        yield Recording(track.rate, track.channels, frames, blocks)


def _av_blocks(
    container: av.container.InputContainer, track: av.AudioStream, skip_bad_packets: bool
) -> Iterator[Samples]:
    """Mono blocks of one audio track; video and subtitles are never decoded."""
    size = _block_frames(track.rate)
    # Interleaved: PyAV takes a plane after the eighth for one that is none, and crashes where it is read.
    to_float = av.AudioResampler(format="flt", layout=track.layout, rate=track.rate)
    parts: list[Samples] = []
    held = read = 0
    first: tuple[int, int, str] | None = None  # channels, rate, sample format: damaged packets change them
    try:
        for packet in container.demux(track):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if not skip_bad_packets:
                    raise
                continue
            for frame in frames:
                form = (frame.layout.nb_channels, frame.sample_rate, frame.format.name)
                first = first or form
                if form != first:
                    raise ValueError("the format changes on the way")
                for part in to_float.resample(frame):
                    parts.append(_mono(part.to_ndarray().reshape(-1, form[0]), channel_axis=1))
                    held += part.samples
            if held >= size:
                yield np.concatenate(parts)
                read, held, parts = read + held, 0, []
    except (av.FFmpegError, ValueError, IndexError):  # IndexError: a track that begins on the way (Ogg)
        if not read + held:
            raise _corrupt() from None
        raise truncated((read + held) / track.rate) from None
    if parts:
        yield np.concatenate(parts)


def _mono(block: NDArray[Any], channel_axis: int) -> Samples:
    with np.errstate(invalid="ignore", over="ignore"):  # whoever checks the block sees what is not finite
        return np.asarray(block.mean(axis=channel_axis), np.float32)


def _block_frames(sample_rate: int) -> int:
    return min(round(BLOCK_S * sample_rate), MAX_BLOCK_FRAMES)
