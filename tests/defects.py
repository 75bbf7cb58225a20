"""Recordings of 3 s with a defect, in every container and codec that can be made here.

`python tests/defects.py` reads them all and writes what happens into docs/reliability.md.
"""

import io
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
from bad_inputs import encode, wav, with_av, with_soundfile
from numpy.typing import NDArray

from ser_core.audio.decode import stream
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import AudioError

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
    cut: str  # what a cut file gives: the warning's name, or the error's code
    cut_s: float = 1.7  # of sound in it
    title: bool = True  # whether it keeps one, in bytes and not in 16-bit characters


PCM = (sound() * 32767).astype("<i2").tobytes()
LIST = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"A title that is no sound"))

KINDS = (
    Kind("WAV", "PCM", partial(muxed, "wav", "pcm_s16le", 16_000), "Cut off"),
    Kind("WAV", "G.726", partial(muxed, "wav", "g726", 8_000, 32_000), "Cut off"),
    Kind("RF64", "PCM", lambda: rf64(PCM, len(PCM)), "Cut off", title=False),
    Kind("AIFF", "PCM", partial(muxed, "aiff", "pcm_s16be", 16_000), "Cut off"),
    Kind("AU", "PCM", lambda: with_soundfile(sound(), "AU"), "Cut off", title=False),
    Kind("CAF", "PCM", partial(muxed, "caf", "pcm_s16le", 16_000), "Cut off"),
    Kind("CAF", "ALAC", lambda: with_soundfile(sound(), "CAF", "ALAC_16"), "Cut off", 1.54, title=False),
    Kind("W64", "PCM", partial(muxed, "w64", "pcm_s16le", 16_000), "Cut off", title=False),
    Kind("FLAC", "FLAC", partial(muxed, "flac", "flac", 16_000), "Cut off"),
    Kind("Ogg", "Vorbis", lambda: with_soundfile(sound(), "OGG", "VORBIS"), "No end", 0.8, title=False),
    Kind("Ogg", "Opus", partial(muxed, "ogg", "libopus"), "No end", 1.0),
    Kind("Ogg", "FLAC", partial(muxed, "ogg", "flac", 16_000), "No end", 1.0),
    Kind("MP3", "MP3", partial(muxed, "mp3", "libmp3lame", 44_100), "Cut off"),
    Kind("MP2", "MP2", partial(muxed, "mp2", "mp2"), "No end", title=False),
    Kind("ADTS", "AAC", partial(muxed, "adts", "aac"), "No end", title=False),
    Kind("AMR", "AMR", partial(muxed, "amr", "libopencore_amrnb", 8_000, 12_200), "No end", title=False),
    Kind("M4A, index behind", "AAC", partial(muxed, "ipod", "aac"), "corrupt", 0.0),
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
        1.54,
    ),
    Kind("MKV", "AAC", partial(muxed, "matroska", "aac"), "Cut off"),
    Kind("WebM", "Opus", partial(muxed, "webm", "libopus"), "Cut off"),
    Kind("WMA", "WMA 2", partial(muxed, "asf", "wmav2", 44_100), "Cut off", title=False),
    Kind("AVI", "PCM", partial(muxed, "avi", "pcm_s16le", 44_100), "Cut off"),
    Kind("MPEG-TS", "AAC", partial(muxed, "mpegts", "aac"), "No end"),
)


def cut(content: bytes) -> bytes:
    """`content` without its end."""
    return content[: int(CUT_SHARE * len(content))]


def behind_id3(content: bytes) -> bytes:
    """`content` behind a long ID3 tag, as of a cover."""
    return id3(bytes(ID3_BYTES)) + content


def in_latin1(content: bytes) -> bytes:
    """`content` with a title that is not UTF-8."""
    changed = content.replace(TITLE, LATIN1)
    return with_ogg_checksums(changed) if content.startswith(b"OggS") else changed


@cache
def whole(kind: Kind) -> bytes:
    """The file of `kind`, without a defect."""
    return kind.make()


@dataclass(frozen=True)
class Case:
    """A defect of some containers and codecs, and what is read."""

    defect: str
    where: str
    seconds: float
    warning: str  # its name; nothing where nothing is said
    make: Callable[[], bytes]


def resized(content: bytes, marker: bytes, offset: int, form: str, size: int) -> bytes:
    """`content` with another declared size, so many bytes behind `marker`."""
    at = content.index(marker) + len(marker) + offset
    return content[:at] + struct.pack(form, size) + content[at + struct.calcsize(form) :]


def pcm(container: str) -> bytes:
    """`sound` in a container of libsndfile."""
    return with_soundfile(sound(), container)


def sized(container: str, data_bytes: int) -> bytes:
    """`sound` in a container that declares `data_bytes` of samples."""
    place = {
        "AIFF": (b"SSND", 0, ">I", 8),
        "AU": (b".snd", 4, ">I", 0),
        "CAF": (b"data", 0, ">q", 4),
        "W64": (b"data", 12, "<Q", 24),
    }[container]
    return resized(pcm(container), *place[:3], data_bytes + place[3])


def channels(count: int, rate: int, container: str, codec: str | None = None) -> bytes:
    """`sound` in so many channels alike."""
    return with_soundfile(np.stack([sound(rate=rate)] * count, axis=1), container, codec, rate)


def joined(container: str, codec: str | None, *forms: tuple[int, int]) -> bytes:
    """Files of these channels and rates, one behind the other."""
    return b"".join(channels(count, rate, container, codec) for count, rate in forms)


def streamed(share: float = 1.0) -> bytes:
    """A WebM as browsers record it: no length, no index; the first `share` of it."""
    content = with_av(sound(rate=48_000)[None], "webm", "libopus", live="1")
    return content[: int(share * len(content))]


def video_longer_than_its_sound() -> bytes:
    """An MKV with pictures of 6 s and sound of 3 s."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        pictures = output.add_stream("mpeg4", rate=1)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        track = output.add_stream("aac", rate=48_000, layout="mono")
        for number in range(6):
            picture = av.VideoFrame.from_ndarray(np.full((96, 64), 40 * number, np.uint8), format="yuv420p")
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        encode(output, track, sound(rate=48_000)[None], 48_000)
    return file.getvalue()


SHORT, RIGHT, LONG = len(PCM) // 2, len(PCM), 2 * len(PCM)
ONE_RECORDING = "several recordings, one behind the other"
SIZE_SHORT = "declared size too short, as after a crash or above 4 GiB"
SIZE_UNKNOWN = "declared size 0 or the largest number, as when streamed"
SIZE_LONG = "declared size too long"
TRACKS = "several tracks, none marked"
CASES = (
    Case(
        ONE_RECORDING,
        "Ogg Vorbis",
        9.0,
        "",
        lambda: joined("OGG", "VORBIS", (1, 16_000), (2, 44_100), (1, 22_050)),
    ),
    Case(
        ONE_RECORDING,
        "Ogg Opus",
        9.0,
        "",
        lambda: joined("OGG", "OPUS", (1, 48_000), (2, 24_000), (1, 16_000)),
    ),
    Case(
        ONE_RECORDING,
        "Ogg Opus then Vorbis",
        6.0,
        "",
        lambda: channels(1, 48_000, "OGG", "OPUS") + channels(2, 44_100, "OGG", "VORBIS"),
    ),
    Case(
        ONE_RECORDING, "MP3 stereo then mono", 6.05, "", lambda: joined("MP3", None, (2, 44_100), (1, 44_100))
    ),
    Case(
        ONE_RECORDING, "MP3 mono then stereo", 6.05, "", lambda: joined("MP3", None, (1, 44_100), (2, 44_100))
    ),
    Case(
        ONE_RECORDING,
        "MP3 44.1 then 22.05 kHz",
        6.05,
        "",
        lambda: joined("MP3", None, (1, 44_100), (1, 22_050)),
    ),
    Case(
        "several recordings, the last one cut off",
        "Ogg Opus",
        5.0,
        "No end",
        lambda: joined("OGG", "OPUS", (1, 48_000), (1, 24_000))[:-3000],
    ),
    Case("zeros, text or the rest of a frame in front", "MP3", 3.0, "", lambda: bytes(5000) + pcm("MP3")),
    Case(
        "zeros, text or the rest of a frame in front",
        "MP3",
        3.0,
        "",
        lambda: b"HTTP/1.0 200 OK\r\n\r\n" + pcm("MP3"),
    ),
    Case(
        "zeros, text or the rest of a frame in front",
        "MP3",
        3.0,
        "",
        lambda: pcm("MP3")[150:600] + pcm("MP3"),
    ),
    Case("a tag behind the sound", "MP3", 3.0, "", lambda: pcm("MP3") + b"TAG" + bytes(125)),
    Case("a tag behind the sound", "MP3", 3.0, "", lambda: pcm("MP3") + b"APETAGEX" + bytes(200)),
    Case("one channel is the other, inverted", "WAV", 3.0, "Channels cancel", lambda: antiphase("WAV", 1.0)),
    Case(
        "one channel is the other, inverted", "FLAC", 3.0, "Channels cancel", lambda: antiphase("FLAC", 0.7)
    ),
    Case(
        "one channel is the other, inverted and much weaker", "FLAC", 3.0, "", lambda: antiphase("FLAC", 0.3)
    ),
    Case(f"{TRACKS}: the loudest is read", "MKV", 3.5, "Several tracks", lambda: tracks((0.02, 0.5))),
    Case(f"{TRACKS}: the loudest is read", "MKV", 3.5, "Several tracks", lambda: tracks((0.02, 0.5, 0.1))),
    Case(
        f"{TRACKS}: the loudest is read",
        "AVI",
        3.5,
        "Several tracks",
        lambda: tracks((0.02, 0.5), container="avi"),
    ),
    Case(
        "several tracks: the default one is read",
        "MKV",
        3.5,
        "Several tracks",
        lambda: tracks((0.5, 0.1), default=1),
    ),
    Case(
        "several tracks: the default one is read",
        "MP4",
        3.5,
        "Several tracks",
        lambda: tracks((0.5, 0.1), default=1, container="mp4"),
    ),
    Case(
        "several tracks, the default one silent: the loudest is read",
        "MKV",
        3.0,
        "Several tracks",
        lambda: tracks((0.5, 0.0), default=1),
    ),
    Case(
        "several tracks, the default one silent: the loudest is read",
        "MP4",
        3.5,
        "Several tracks",
        lambda: tracks((0.0, 0.5), default=0, container="mp4"),
    ),
    *(
        Case(
            SIZE_SHORT, "WAV", 3.0, "Wrong size", lambda size=size, tail=tail: wav(PCM, declared=size) + tail
        )
        for size in (1000, SHORT, SHORT + 1)
        for tail in (b"", LIST)
    ),
    *(
        Case(SIZE_SHORT, "RF64", 3.0, "Wrong size", lambda size=size, tail=tail: rf64(PCM, size, tail))
        for size in (1000, SHORT)
        for tail in (b"", LIST)
    ),
    *(
        Case(SIZE_SHORT, each, 3.0, "Wrong size", partial(sized, each, SHORT))
        for each in ("AIFF", "AU", "CAF", "W64")
    ),
    *(
        Case(SIZE_UNKNOWN, "WAV", 3.0, "", lambda size=size, tail=tail: wav(PCM, declared=size) + tail)
        for size in (0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36)
        for tail in (b"", LIST)
    ),
    *(
        Case(SIZE_UNKNOWN, "RF64", 3.0, "", lambda size=size, tail=tail: rf64(PCM, size, tail))
        for size in (0, 0xFFFFFFFF, 2**64 - 1)
        for tail in (b"", LIST)
    ),
    *(Case(SIZE_UNKNOWN, each, 3.0, "", partial(sized, each, 0)) for each in ("AIFF", "AU", "CAF", "W64")),
    *(
        Case(SIZE_UNKNOWN, each, 3.0, "", partial(sized, each, size))
        for each, size in (("AIFF", 0xFFFFFFF7), ("AU", 0xFFFFFFFF), ("CAF", -5))
    ),
    *(
        Case(SIZE_LONG, each, 3.0, "Cut off", partial(sized, each, LONG))
        for each in ("AIFF", "AU", "CAF", "W64")
    ),
    Case(SIZE_LONG, "WAV", 3.0, "Cut off", lambda: wav(PCM, declared=LONG)),
    Case(SIZE_LONG, "RF64", 3.0, "Cut off", lambda: rf64(PCM, LONG)),
    Case(
        "right size, then other chunks",
        "WAV",
        3.0,
        "",
        lambda: wav(PCM) + chunk(b"LIST", b"INFO" + chunk(b"INAM", bytes(100_000))),
    ),
    Case("right size, then other chunks", "RF64", 3.0, "", lambda: rf64(PCM, RIGHT, LIST)),
    Case(
        "right size, then other chunks",
        "AIFF",
        3.0,
        "",
        lambda: pcm("AIFF") + b"ANNO" + struct.pack(">I", 50_000) + bytes(50_000),
    ),
    Case(
        "right size, then other chunks",
        "CAF",
        3.0,
        "",
        lambda: pcm("CAF") + b"info" + struct.pack(">q", 50_000) + bytes(50_000),
    ),
    Case("streamed, without a length", "WebM Opus", 3.0, "", streamed),
    Case("streamed, without a length, cut off", "WebM Opus", 1.7, "No end", lambda: streamed(0.6)),
    Case("streamed, without a length, cut off", "WebM Opus", 2.25, "No end", lambda: streamed(0.77)),
    Case("pictures that last longer than the sound", "MKV", 3.0, "", video_longer_than_its_sound),
)


def outcome(content: bytes) -> tuple[float, str]:
    """Seconds that are read and the names of the warnings, or 0 and the error's code."""
    warnings: list[str] = []
    try:
        seconds = sum(map(len, stream(content, warnings=warnings))) / SAMPLE_RATE
    except AudioError as error:
        return 0.0, error.code
    return seconds, ", ".join(warning.partition(":")[0] for warning in warnings)


def _words(content: bytes) -> str:
    seconds, said = outcome(content)
    return f"{seconds:.1f} s" + (f", *{said}*" if said else "") if seconds else f"`{said}`"


def table() -> str:
    """What happens to each of the files, in Markdown."""
    lines = [
        "| container | codec | whole, 3 s | cut off | 200 kB of ID3 in front | title in Latin-1 |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        content = whole(kind)
        title = _words(in_latin1(content)) if kind.title else ""
        cells = (_words(content), _words(cut(content)), _words(behind_id3(content)), title)
        lines.append(f"| {' | '.join((kind.container, kind.codec, *cells))} |")
    rows: dict[str, dict[str, list[str]]] = {}  # places by outcome, by defect
    for case in CASES:
        places = rows.setdefault(case.defect, {}).setdefault(_words(case.make()), [])
        if case.where not in places:
            places.append(case.where)
    lines += ["", "| defect | what is read, of 3 s each |", "|---|---|"]
    for defect, outcomes in rows.items():
        cells = [f"{', '.join(places)}: {words}" for words, places in outcomes.items()]
        lines.append(f"| {defect} | {'<br>'.join(cells)} |")
    return "\n".join(lines)


def page_with_table(page: str) -> str:
    """The text of docs/reliability.md with the table between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
