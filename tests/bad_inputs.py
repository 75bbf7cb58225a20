"""Generated recordings: valid ones in every format, and invalid ones that the decoder must refuse.

`python tests/bad_inputs.py FOLDER` writes the invalid ones to a folder, for tests of the page by hand.
"""

import io
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000


def tone(
    seconds: float = 1.0, rate: int = RATE, hz: float = 440.0, level: float = 0.5
) -> NDArray[np.float32]:
    """A sine of amplitude `level`, shape (n_samples,)."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def with_soundfile(
    samples: NDArray, container: str, subtype: str | None = None, rate: int = RATE, endian: str = "FILE"
) -> bytes:
    """`samples`, shape (frame,) or (frame, channel), encoded by soundfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype, endian=endian)
    return file.getvalue()


def with_av(
    samples: NDArray,
    container: str,
    codec: str,
    rate: int = 48_000,
    bit_rate: int | None = None,
    **options: str,
) -> bytes:
    """`samples`, shape (channel, frame), one or two channels, as FFmpeg writes them."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        layout = "mono" if len(samples) == 1 else "stereo"
        track = output.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            track.codec_context.bit_rate = bit_rate
        encode(output, track, samples, rate)
    return file.getvalue()


def encode(output: av.container.OutputContainer, track: av.AudioStream, samples: NDArray, rate: int) -> None:
    """Writes `samples`, shape (channel, frame), to a track of one or two channels."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=track.layout.name)
    frame.sample_rate = rate
    fifo = av.AudioFifo()
    fifo.write(frame)
    while part := fifo.read(track.codec_context.frame_size or 1024, partial=True):
        output.mux(track.encode(part))
    last = track.encode(None)
    if output.format.name != "flac":  # its encoder ends with an empty packet, which no other container takes
        last = [packet for packet in last if packet.size]
    output.mux(last)


def wav(
    data: bytes,
    rate: int = RATE,
    channels: int = 1,
    tag: int = 1,
    bits: int = 16,
    declared: int | None = None,
) -> bytes:
    """A WAV file with exactly this header, however invalid; `declared` is its data size in bytes."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * width % 2**32, width % 2**16, bits)
    size = len(data) if declared is None else declared
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def float_wav(samples: NDArray, rate: int = RATE) -> bytes:
    """A float32 WAV file, which may contain NaN."""
    return wav(samples.astype("<f4").tobytes(), rate, tag=3, bits=32)


def surround() -> bytes:
    """One second of a tone in AAC with eight channels (7.1), as in films."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        track = output.add_stream("aac", rate=48_000, layout="7.1")
        interleaved = np.repeat(tone(rate=48_000), 8)[None]
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout="7.1")
        frame.sample_rate = 48_000
        output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return file.getvalue()


def w64_float() -> bytes:
    """A tone as float32 in a W64 whose form is an extensible one, as FFmpeg writes it."""
    return with_av(tone(rate=48_000)[None], "w64", "pcm_f32le", 48_000)


def amr(wide: bool = False, seconds: float = 1.0, dtx: bool = False) -> bytes:
    """AMR frames of random bits, every other second of pauses with `dtx`: how a phone stores speech.

    A frame is 20 ms. Its first byte holds the mode: here the lowest, of 12 bytes in AMR and 17 in AMR-WB, or
    that nothing is sent (RFC 4867).
    """
    rng = np.random.default_rng(0)
    spoken = [bytes([4]) + rng.bytes(17 if wide else 12) for _ in range(50)]
    nothing = [bytes([15 << 3 | 4])] * 50
    frames = [
        each for second in range(round(seconds)) for each in (nothing if dtx and second % 2 else spoken)
    ]
    return (b"#!AMR-WB\n" if wide else b"#!AMR\n") + b"".join(frames)


def video(sound: NDArray | None = None, rate: int = 48_000) -> bytes:
    """An MP4 file with one grey picture, and `sound`, shape (frame,), or no sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        pictures = output.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        track = None if sound is None else output.add_stream("aac", rate=rate, layout="mono")
        picture = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), format="yuv420p")
        output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        if track is not None:
            encode(output, track, sound[None], rate)
    return file.getvalue()


def zipped() -> bytes:
    """A zip file that contains a valid recording."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.wav", with_soundfile(tone(), "WAV"))
    return file.getvalue()


@cache
def silent_hours(count: int = 1) -> bytes:
    """`count` hours of silence at 48 kHz as FLAC: about 500 kB an hour, 691 MB as float32."""
    file = io.BytesIO()
    second = np.zeros(48_000, np.int16)
    with soundfile.SoundFile(file, "w", 48_000, 1, format="FLAC", subtype="PCM_16") as flac:
        for _ in range(count * 3600):
            flac.write(second)
    return file.getvalue()


def with_flac_length(flac: bytes, frames: int) -> bytes:
    """`flac` with another number of frames in its header; 0 stands for unknown."""
    declared = bytes([flac[21] & 0xF0 | frames >> 32]) + struct.pack(">I", frames & 0xFFFFFFFF)
    return flac[:21] + declared + flac[26:]


FORMATS: dict[str, Callable[[], bytes]] = {
    "WAV 8 bit": lambda: with_soundfile(tone(), "WAV", "PCM_U8"),
    "WAV 16 bit": lambda: with_soundfile(tone(), "WAV", "PCM_16"),
    "WAV 24 bit": lambda: with_soundfile(tone(), "WAV", "PCM_24"),
    "WAV 32 bit": lambda: with_soundfile(tone(), "WAV", "PCM_32"),
    "WAV float": lambda: with_soundfile(tone(), "WAV", "FLOAT"),
    "WAV double": lambda: with_soundfile(tone(), "WAV", "DOUBLE"),
    "WAV mu-law": lambda: with_soundfile(tone(), "WAV", "ULAW"),
    "WAV extensible": lambda: with_soundfile(tone(), "WAVEX", "PCM_16"),
    "RF64": lambda: with_soundfile(tone(), "RF64", "PCM_16"),
    "FLAC": lambda: with_soundfile(tone(), "FLAC"),
    "FLAC behind ID3": lambda: b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + with_soundfile(tone(), "FLAC"),
    "FLAC of unknown length": lambda: with_flac_length(with_soundfile(tone(), "FLAC"), 0),
    "Ogg Vorbis": lambda: with_soundfile(tone(), "OGG", "VORBIS"),
    "Ogg Opus": lambda: with_soundfile(tone(rate=48_000), "OGG", "OPUS", 48_000),
    "MP3": lambda: with_soundfile(tone(), "MP3"),
    "MP3 with tag behind": lambda: with_soundfile(tone(), "MP3") + b"TAG" + bytes(125),
    "M4A": lambda: with_av(tone(rate=48_000)[None], "mp4", "aac"),
    "M4A 16 bit lossless": lambda: with_av(tone(rate=48_000)[None], "mp4", "alac"),
    "M4A in fragments": lambda: with_av(
        tone(rate=48_000)[None], "mp4", "aac", movflags="frag_keyframe+empty_moov"
    ),
    "MP4 video with sound": lambda: video(tone(rate=48_000)),
    "WebM Opus": lambda: with_av(tone(rate=48_000)[None], "webm", "libopus"),
    "WebM Opus in stereo": lambda: with_av(np.stack([tone(rate=48_000)] * 2), "webm", "libopus"),
    "WebM Opus as browsers record it": lambda: with_av(tone(rate=48_000)[None], "webm", "libopus", live="1"),
    "WAV G.726": lambda: with_av(tone(rate=8_000)[None], "wav", "g726", 8_000),
    "AIFF": lambda: with_soundfile(tone(), "AIFF"),
    "AIFC mu-law": lambda: with_soundfile(tone(), "AIFF", "ULAW"),
    "AU": lambda: with_soundfile(tone(), "AU"),
    "CAF": lambda: with_soundfile(tone(), "CAF"),
    "CAF lossless": lambda: with_soundfile(tone(), "CAF", "ALAC_16"),
    "W64": lambda: with_soundfile(tone(), "W64"),
    "W64 float, extensible": w64_float,
    "WAV big-endian (RIFX)": lambda: with_soundfile(tone(), "WAV", endian="BIG"),
    "AU little-endian": lambda: with_soundfile(tone(), "AU", endian="LITTLE"),
    "MOV PCM": lambda: with_av(tone(rate=44_100)[None], "mov", "pcm_s16le", 44_100),
    "MPEG-TS AAC in LATM": lambda: with_av(tone(rate=48_000)[None], "mpegts", "aac", mpegts_flags="latm"),
    "Ogg FLAC": lambda: with_av(tone()[None], "ogg", "flac", RATE),
    "MP2": lambda: with_av(tone(rate=48_000)[None], "mp2", "mp2"),
    "AAC (ADTS)": lambda: with_av(tone(rate=48_000)[None], "adts", "aac"),
    "WMA": lambda: with_av(tone(rate=44_100)[None], "asf", "wmav2", 44_100, 64_000),
    "AVI": lambda: with_av(tone(rate=44_100)[None], "avi", "pcm_s16le", 44_100),
    "MKV AAC": lambda: with_av(tone(rate=48_000)[None], "matroska", "aac"),
    "MPEG-TS AAC": lambda: with_av(tone(rate=48_000)[None], "mpegts", "aac"),
}


# Coders of speech, which change the level of a tone.
COARSE: dict[str, Callable[[], bytes]] = {
    "AMR": lambda: with_av(tone(rate=8_000)[None], "amr", "libopencore_amrnb", 8_000, 12_200),
    "AMR-WB": lambda: amr(wide=True),
    "AMR with pauses": lambda: amr(seconds=3, dtx=True),
    "3GP AMR": lambda: with_av(tone(rate=8_000)[None], "3gp", "libopencore_amrnb", 8_000, 12_200),
}


@cache
def good(name: str) -> bytes:
    """One second of a 440 Hz tone in the format `name`."""
    return (FORMATS | COARSE)[name]()


def _noise(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def _truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


@dataclass(frozen=True)
class Bad:
    """A file that cannot be read, and the code of its error."""

    code: str
    make: Callable[[], bytes]


BAD = {
    "empty.wav": Bad("empty", lambda: b""),
    "four_bytes.wav": Bad("unsupported_format", lambda: b"RIFF"),
    "text.wav": Bad("unsupported_format", lambda: b"This is no recording. " * 100),
    "utf16_text.mp3": Bad("unsupported_format", lambda: ("This is no recording. " * 100).encode("utf-16")),
    "playlist.m4a": Bad("unsupported_format", lambda: b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:22/a.ts\n"),
    "concat.mp3": Bad("unsupported_format", lambda: b"ffconcat version 1.0\nfile /etc/passwd\n"),
    "archive.wav": Bad("unsupported_format", zipped),
    "picture.mp3": Bad("unsupported_format", lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000)),
    "raw_samples.wav": Bad("unsupported_format", lambda: tone().tobytes()),
    "cut_header.wav": Bad("corrupt", lambda: wav(bytes(32_000))[:20]),
    "no_channels.wav": Bad("corrupt", lambda: wav(bytes(32_000), channels=0)),
    "garbage.flac": Bad("corrupt", lambda: b"fLaC" + np.random.default_rng(0).bytes(5000)),
    "garbage.ogg": Bad("corrupt", lambda: b"OggS" + np.random.default_rng(0).bytes(5000)),
    "garbage.mp3": Bad("corrupt", lambda: b"\xff\xfb\x90\xc4" + np.random.default_rng(0).bytes(5000)),
    "garbage.webm": Bad("corrupt", lambda: b"\x1aE\xdf\xa3" + np.random.default_rng(0).bytes(5000)),
    "half.m4a": Bad("corrupt", lambda: _truncated(with_av(tone(rate=48_000)[None], "mp4", "aac"))),
    "start.flac": Bad("truncated", lambda: with_soundfile(_noise(3.0), "FLAC")[:1000]),
    "0_hz.wav": Bad("bad_sample_rate", lambda: wav(bytes(32_000), rate=0)),
    "1_hz.wav": Bad("bad_sample_rate", lambda: wav(bytes(32_000), rate=1)),
    "2_ghz.wav": Bad("bad_sample_rate", lambda: wav(bytes(32_000), rate=2**31 - 1)),
    "9_channels.wav": Bad("too_many_channels", lambda: wav(bytes(36_000), channels=9)),
    "2000_channels.wav": Bad("too_many_channels", lambda: wav(bytes(32_000), channels=2000)),
    "no_sound.mp4": Bad("no_audio", video),
    "no_samples.wav": Bad("too_short", lambda: wav(b"")),
    "click.wav": Bad("too_short", lambda: with_soundfile(tone(0.05), "WAV")),
    "nan.wav": Bad("not_finite", lambda: float_wav(np.append(tone(), np.nan))),
    "infinity.wav": Bad("not_finite", lambda: float_wav(np.append(np.inf, tone()))),
}


@dataclass(frozen=True)
class Partial:
    """A file that can be read in part: the readable duration in s, and the name of the warning."""

    seconds: float
    warning: str
    make: Callable[[], bytes]


PARTIAL = {
    "half.flac": Partial(1.5, "Cut off", lambda: _truncated(with_soundfile(_noise(3.0), "FLAC"))),
    "half.mp3": Partial(1.5, "Cut off", lambda: _truncated(with_soundfile(_noise(3.0), "MP3"))),
    "half.webm": Partial(0.5, "Cut off", lambda: _truncated(with_av(_noise(3.0)[None], "webm", "libopus"))),
    "half.wav": Partial(1.5, "Cut off", lambda: _truncated(with_soundfile(_noise(3.0), "WAV"))),
    "half.opus": Partial(
        3.0, "No end", lambda: _truncated(with_soundfile(_noise(18.0), "OGG", "OPUS", 48_000))
    ),
    "lying_length.flac": Partial(
        3.0, "Cut off", lambda: with_flac_length(with_soundfile(_noise(3.0), "FLAC"), 2**35)
    ),
}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, bad in BAD.items():
        (folder / name).write_bytes(bad.make())
    (folder / "silent_hours.flac").write_bytes(silent_hours())
