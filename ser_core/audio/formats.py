"""What a file is, told from its content: the container, and where the recording starts in it.

A name decides nothing. Tags of title and artist (ID3), padding and the rest of a broken frame may stand
before a recording.
"""

import os
import re
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

# How the names of recordings end; `is_named_or_recording` looks at the content as well.
SUFFIXES = (
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
    *(".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".mp2", ".mpga", ".m4a", ".m4b", ".m4r", ".aac"),
    *(".amr", ".awb", ".wma", ".mka", ".weba", ".webm", ".mkv", ".mp4", ".m4v", ".mov", ".3gp", ".3g2"),
    *(".avi", ".asf", ".wmv"),
)
HEAD_BYTES = 65_536  # enough to tell the format
MAX_TAGS = 16  # ID3 tags one behind the other
MAX_PADDING_BYTES = 16 * 1024**2  # zeros before a recording
CHAIN = 4  # frames in a row, so that other data are not taken for MPEG audio
MAX_GARBAGE_BYTES = 16 * 1024**2  # before the first frame of an MPEG stream
MAX_SYNCS = 200_000  # places in it that look like a frame, which are tried
TS_PACKETS = 5
TS_SIZES = (188, 192)  # bytes of a packet; disc recorders put a time before each
CHUNK_BYTES = 1024**2  # read at once while searching

_MAGIC = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "w64"),
    (b".snd", "au"),
    (b"dns.", "au"),  # little-endian
    (b"caff", "caf"),
    (b"#!AMR", "amr"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
)
# What else begins with a head of its own, where such files are joined.
_HEADS = {
    "flac": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"),
    "amr": re.compile(rb"#!AMR(?:-WB)?\n"),
    "asf": re.compile(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
}
_HEAD_BYTES = 16  # of the longest of these
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
# The header of a sound track: scale, rate and, behind its start, length.
_AVI_STREAM = re.compile(rb"strh.{4}auds.{16}(.{4})(.{4}).{4}(.{4})", re.DOTALL)
_SYNC = re.compile(rb"\xff[\xe2-\xff]")  # of a frame of MPEG audio
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

# kbit/s by index, of MPEG 1 layer I, II, III and of MPEG 2 layer I, layer II and III.
_KBITS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG 1; half of it of MPEG 2, a quarter of MPEG 2.5


@dataclass(frozen=True)
class Format:
    """What a file holds."""

    kind: str  # FFmpeg's name of the container, or "rifx": a big-endian WAV, which FFmpeg reads wrongly
    start: int  # bytes before the recording


def detect(file: BinaryIO, garbage: int = MAX_GARBAGE_BYTES) -> Format | None:
    """The format of `file`, which is left anywhere; None where it is no recording in a format read here.

    `garbage`: bytes before the first frame of an MPEG stream that are searched.
    """
    start, head = 0, _head(file, 0)
    for _ in range(MAX_TAGS):
        if not head.startswith(b"ID3"):
            break
        start += _tag_bytes(head)
        head = _head(file, start)
    kind = kind_of(head)
    if kind is None:
        start += _zeros(file, start)
        head = _head(file, start)
        kind = kind_of(head)
    # Four bytes of anything can pass for the header of an MP3 frame: others must follow.
    if kind and (kind != "mp3" or _chained(head, 0)):
        return Format(kind, start)
    for size in TS_SIZES:  # of a packet; the first one may be cut
        for at in range(size):
            if _synced(head[at::size]):
                return Format("mpegts", start + at)
    file.seek(start)
    head = file.read(garbage)
    for found in islice(_SYNC.finditer(head), MAX_SYNCS):
        if mpeg := _chained(head, found.start()):
            return Format(mpeg, start + found.start())
    return Format(kind, start) if kind else None


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether the content of a file is a recording in a format read here. Raises OSError."""
    with open(path, "rb") as file:
        form = detect(file, HEAD_BYTES)  # behind more, any file may hold some frames
        if form is None:
            return False
        # Four bytes of anything can pass for the header of an MP3 frame.
        return form.kind != "mp3" or _chained(_head(file, form.start), 0, frames=2) is not None


def is_named_or_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file of a folder is taken for a recording: by its name, else by its content."""
    if os.fspath(path).lower().endswith(SUFFIXES):
        return True
    try:
        return os.path.isfile(path) and is_recording(path)  # to open a pipe would wait for ever
    except OSError:
        return False


def kind_of(head: bytes) -> str | None:
    """FFmpeg's name for the container that starts with `head`; None if it is not one that is read here."""
    if head[:4] == b"RIFX" and head[8:12] == b"WAVE":
        return "rifx"
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] in _QUICKTIME:
        return "mov"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if any(_synced(head[first::size]) for size, first in zip(TS_SIZES, (0, 4), strict=True)):
        return "mpegts"
    if _mpeg_frame(head[:4]):
        return "mp3"
    return _chained(head, 0)


def mp3_length_s(head: bytes) -> float | None:
    """Length in seconds that the first frame of an MP3, at the start of `head`, tells; None where none does.

    Encoders put a frame without sound first, with `Xing` or `Info` behind its side information and, if the
    lowest bit of the flags is set, the number of frames.
    """
    frame = _mpeg_frame(head[:4])
    at = max(head[:64].find(b"Xing"), head[:64].find(b"Info"))
    if frame is None or at < 0 or len(head) < at + 12 or not head[at + 7] & 1:
        return None
    version, layer, rate = frame[1]
    samples = 1152 if version == 3 or layer == 2 else 576
    return int.from_bytes(head[at + 8 : at + 12]) * samples / _hertz(version, rate)


def avi_length_s(head: bytes, track: int) -> float | None:
    """Length in seconds of a sound track of an AVI by the header of its stream; None where it is not told."""
    found = _AVI_STREAM.findall(head)
    if track >= len(found):
        return None
    scale, rate, length = (int.from_bytes(number, "little") for number in found[track])
    return length * scale / rate if rate and length else None


def asf_length_s(head: bytes) -> float | None:
    """Length in seconds that the properties of a WMA or WMV tell; None where it was streamed."""
    at = head.find(_ASF_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return None
    played, preroll, flags = (
        int.from_bytes(head[at + place : at + place + size], "little")
        for place, size in ((64, 8), (80, 8), (88, 4))
    )
    seconds = played / 1e7 - preroll / 1e3  # units of 100 ns, of 1 ms
    return seconds if seconds > 0 and not flags & 1 else None


def asf_is_cut(file: BinaryIO, head: bytes) -> bool:
    """Whether a WMA or WMV that starts with `head` ends before its data do."""
    at = head.find(_ASF_DATA)
    size = int.from_bytes(head[at + 16 : at + 24], "little") if at >= 0 else 0
    return at + size > file.seek(0, os.SEEK_END)


def heads(file: BinaryIO, kind: str) -> list[int]:
    """Where the recordings begin that are joined in a FLAC, AMR or WMA file; else one place."""
    if kind not in _HEADS:
        return [0]
    found: dict[int, None] = {0: None}
    file.seek(0)
    buffer, base = b"", 0
    while chunk := file.read(CHUNK_BYTES):
        buffer += chunk
        found.update((base + head.start(), None) for head in _HEADS[kind].finditer(buffer))
        base, buffer = base + len(buffer) - len(buffer[-_HEAD_BYTES:]), buffer[-_HEAD_BYTES:]
    return list(found)


def is_cut_mpeg_frame(frame: bytes) -> bool:
    """Whether a frame of MPEG audio is shorter than its header says."""
    form = _mpeg_frame(frame[:4])
    return form is not None and len(frame) < form[0]


def _synced(bytes_: bytes) -> bool:
    """Whether so many packets of MPEG-TS begin with what is their mark."""
    return bytes_[:TS_PACKETS] == b"\x47" * TS_PACKETS


def _head(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read(HEAD_BYTES)


def _tag_bytes(head: bytes) -> int:
    """Length of the ID3 tag that starts `head`: four times 7 bits, behind a header of ten bytes."""
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    footer = 10 if len(head) > 5 and head[5] & 0x10 else 0
    return 10 + size + footer


def _zeros(file: BinaryIO, start: int) -> int:
    """How many zeros follow `start`; at most `MAX_PADDING_BYTES`."""
    file.seek(start)
    count = 0
    while count < MAX_PADDING_BYTES and (chunk := file.read(CHUNK_BYTES)):
        rest = chunk.lstrip(b"\0")
        count += len(chunk) - len(rest)
        if rest:
            break
    return count


def _mpeg_frame(header: bytes) -> tuple[int, tuple[int, int, int]] | None:
    """Length in bytes of the MPEG audio frame with this header, and its version, layer and rate index.

    None where it is no header: the version, layer, bit rate or rate is a reserved one. A length of 0 is a
    free bit rate. Layer I is left out, as a UTF-16 text would pass for it.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (2, 3) or bits == 15 or rate == 3:
        return None
    first = version == 3  # MPEG 1
    kbits = _KBITS[(1, layer) if first else (2, 2)][bits]
    samples = 1152 if first or layer == 2 else 576
    length = samples * 125 * kbits // _hertz(version, rate) + padding if kbits else 0
    return length, (version, layer, rate)


def _hertz(version: int, rate: int) -> int:
    """Sample rate of MPEG audio by the bits of its header."""
    return _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]


def _adts_frame(header: bytes) -> tuple[int, tuple[int, int, int]] | None:
    """Length in bytes of the AAC frame (ADTS) with this header, and what does not change in a stream."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    rate = header[2] >> 2 & 15
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return None if rate > 12 or length < 7 else (length, (header[1] & 8, header[2] >> 6, rate))


def _chained(head: bytes, at: int, frames: int = CHAIN) -> str | None:
    """`mp3` or `aac` where so many of its frames of one kind follow each other from `at`."""
    for kind, parse, size in (("mp3", _mpeg_frame, 4), ("aac", _adts_frame, 7)):
        place, first = at, parse(head[at : at + size])
        for _ in range(frames):
            frame = parse(head[place : place + size])
            if first is None or frame is None or not frame[0] or frame[1] != first[1]:
                break
            place += frame[0]
        else:
            return kind
    return None
