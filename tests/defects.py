"""Recordings of 3 s with a defect, in every container and codec that can be made here.

`python tests/defects.py` reads them all and writes what happens into docs/reliability.md.
"""

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.stream import Disposition
from bad_files import chunk, id3, with_ogg_checksums
from bad_inputs import encode, tone, wav, with_av, with_soundfile
from numpy.typing import NDArray

SECONDS = 3.0
CUT_SHARE = 0.57  # of the bytes that a cut file keeps
ID3_BYTES = 200_000
TITLE, LATIN1 = (
    b"Title without umlaut",
    "Título in Latin-1: üß".encode("latin-1")[: len(b"Title without umlaut")],
)
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: python tests/defects.py -->", "<!-- end: python tests/defects.py -->"


def sound(seconds: float = SECONDS, rate: int = 16_000, level: float = 0.5) -> NDArray[np.float32]:
    """Noise, shape (n_samples,): coders spend as many bytes on each of its seconds."""
    return np.random.default_rng(0).uniform(-level, level, round(seconds * rate)).astype(np.float32)


def muxed(container: str, codec: str, rate: int = 48_000, bit_rate: int = 64_000, **options: str) -> bytes:
    """`sound` as FFmpeg writes it, with a title."""
    with TemporaryDirectory() as folder:  # to put an index in front, FFmpeg opens the file again
        path = Path(folder) / "sound"
        with av.open(path, "w", format=container, options=options) as output:
            output.metadata["title"] = TITLE.decode()
            track = output.add_stream(codec, rate=rate, layout="mono")
            track.codec_context.bit_rate = bit_rate
            encode(output, track, sound(rate=rate)[None], rate)
        return path.read_bytes()


def tracks(levels: tuple[float, ...], default: int | None = None, container: str = "matroska") -> bytes:
    """A video's sound tracks of these levels, each half a second longer than the one before."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = [output.add_stream("aac", rate=48_000, layout="mono") for _ in levels]
        for number, stream in enumerate(streams):
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for number, (stream, level) in enumerate(zip(streams, levels, strict=True)):
            encode(output, stream, sound(SECONDS + number / 2, 48_000, level)[None], 48_000)
    return file.getvalue()


def rf64(data: bytes, declared: int, behind: bytes = b"") -> bytes:
    """An RF64 of 16-bit samples at 16 kHz, whose `ds64` chunk declares `declared` bytes of them."""
    sizes = chunk(b"ds64", struct.pack("<QQQI", 72 + len(data), declared, declared // 2, 0))
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
    return b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff" + data + behind


def antiphase(container: str, second: float) -> bytes:
    """Two channels, the second of which is the first, inverted and `second` as strong."""
    left = sound()
    return with_soundfile(np.stack([left, -second * left], axis=1), container)


@dataclass(frozen=True)
class Kind:
    """A container and a codec, and what is read of its file with one of the defects that all can have."""

    container: str
    codec: str
    make: Callable[[], bytes]  # 3 s
    cut: str  # what the cut file gives: the warning's name, nothing, or the error's code
    duration_s: float = SECONDS
    title: bool = True  # whether the container keeps one
    ogg: bool = False


PCM = (sound() * 32767).astype("<i2").tobytes()
LIST = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"A title that is no sound"))

KINDS = (
    Kind("WAV", "PCM", partial(muxed, "wav", "pcm_s16le", 16_000), "Cut off"),
    Kind("WAV", "G.726", partial(muxed, "wav", "g726", 8_000, 32_000), "Cut off"),
    Kind("RF64", "PCM", lambda: rf64(PCM, len(PCM)), "Cut off", title=False),
    Kind("AIFF", "PCM", partial(muxed, "aiff", "pcm_s16be", 16_000, write_id3v2="0"), "Cut off"),
    Kind("AU", "PCM", lambda: with_soundfile(sound(), "AU"), "Cut off", title=False),
    Kind("CAF", "PCM", partial(muxed, "caf", "pcm_s16le", 16_000), "Cut off"),
    Kind("CAF", "ALAC", lambda: with_soundfile(sound(), "CAF", "ALAC_16"), "Cut off", title=False),
    Kind("W64", "PCM", partial(muxed, "w64", "pcm_s16le", 16_000), "Cut off"),
    Kind("FLAC", "FLAC", partial(muxed, "flac", "flac", 16_000), "Cut off"),
    Kind("Ogg", "Vorbis", lambda: with_soundfile(sound(), "OGG", "VORBIS"), "No end", title=False),
    Kind("Ogg", "Opus", partial(muxed, "ogg", "libopus"), "No end", ogg=True),
    Kind("Ogg", "FLAC", partial(muxed, "ogg", "flac", 16_000), "No end", ogg=True),
    Kind("MP3", "MP3", partial(muxed, "mp3", "libmp3lame", 44_100), "Cut off"),
    Kind("MP2", "MP2", partial(muxed, "mp2", "mp2"), "", title=False),
    Kind("ADTS", "AAC", partial(muxed, "adts", "aac"), "", title=False),
    Kind("AMR", "AMR", partial(muxed, "amr", "libopencore_amrnb", 8_000, 12_200), "", title=False),
    Kind("M4A, index behind", "AAC", partial(muxed, "ipod", "aac"), "corrupt"),
    Kind("M4A, index in front", "AAC", partial(muxed, "ipod", "aac", movflags="faststart"), "Cut off"),
    Kind(
        "MP4 in fragments",
        "AAC",
        partial(muxed, "mp4", "aac", movflags="frag_keyframe+empty_moov", frag_duration="500000"),
        "Cut off",
    ),
    Kind(
        "3GP",
        "AMR",
        partial(muxed, "3gp", "libopencore_amrnb", 8_000, 12_200, movflags="faststart"),
        "Cut off",
    ),
    Kind("MKV", "AAC", partial(muxed, "matroska", "aac"), "Cut off"),
    Kind("WebM", "Opus", partial(muxed, "webm", "libopus"), "Cut off"),
    Kind("WMA", "WMA 2", partial(muxed, "asf", "wmav2", 44_100), "Cut off"),
    Kind("AVI", "PCM", partial(muxed, "avi", "pcm_s16le", 44_100), "Cut off"),
    Kind("MPEG-TS", "AAC", partial(muxed, "mpegts", "aac"), ""),
)
