"""How much sound a file holds, by its headers and in truth.

Sizes in headers can be wrong: a recorder that lost power leaves the size of an earlier state, and WAV cannot
write a size above 4 GiB.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

CHUNK_BYTES = 1024**2  # read at once while searching
MAX_CHUNKS = 100_000  # looked at in one file: a hostile one has one in every eight bytes
MAX_TAIL_CHUNKS = 1000  # behind the sound
MAX_TAILS = 100  # places where they may begin that are tried
# Sizes that are written where a recording is streamed: 0, or the largest number of 31, 32 or 63 bits less the
# headers. A file that has as much is taken at its word.
_UNKNOWN_BITS = (31, 32, 63, 64)
_HEADERS_BYTES = 4096
_MAX_FORM_BYTES = 1000
# Name and size of a chunk, and what its place is a multiple of.
_CHUNKS = {"wav": ("4sI", 2), "rifx": ("4sI", 2), "aiff": ("4sI", 2), "caf": ("4sq", 1), "w64": ("16sQ", 8)}
_LITTLE_ENDIAN = (b"RIFF", b"RF64", b"BW64", b"riff", b"dns.")  # how files begin; the others are big-endian
_WAV_CHUNKS = (b"fmt ", b"data", b"LIST", b"fact", b"bext", b"JUNK", b"id3 ", b"cue ")
_FILES = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff", b"SSND", b"data")  # that are of another file
# Where the size of the samples is: bytes before them (AU: the ninth of the file), how it is written, and the
# bytes that it counts besides them.
_SIZE_FIELDS = {
    "rifx": (4, "I", 0),
    "aiff": (12, "I", 8),
    "au": (0, "I", 0),
    "caf": (12, "q", 4),
    "w64": (8, "Q", 24),
}
# Chunks that may stand behind the sound, where its size does not tell the end of it.
_TAIL = re.compile(rb"LIST|id3 |ID3 |bext|iXML|cue |smpl|_PMX|afsp|PEAK|COMT|NAME|AUTH|ANNO")
_TAIL_BYTES = 4 * CHUNK_BYTES  # in which they are looked for
_BLOCKS = (0xA1, 0xA3)
_CLUSTER, _SEGMENT = 0x1F43B675, 0x18538067  # Matroska elements that may be of unknown size


@dataclass(frozen=True)
class Payload:
    """Where the samples of a file are, by its header and in truth. All in bytes."""

    start: int
    declared: int | None  # None: the header does not know
    present: int  # up to the end of the samples, whatever the header says
    order: str  # of the bytes of numbers, as `struct` names it
    header: bytes = b""  # of a WAV with chunks out of place: one to stand before the samples instead

    @property
    def share(self) -> float:
        """How much of the declared sound is there, above 0; 1 where all is, or nothing is declared."""
        return min(self.present / self.declared, 1.0) if self.declared and self.present > 0 else 1.0

    @property
    def beyond(self) -> int:
        """Sound behind the end that the header declares."""
        return 0 if self.declared is None else max(self.present - self.declared, 0)


def payload(file: BinaryIO, kind: str) -> Payload | None:
    """Where the samples of a WAV, AIFF, AU, CAF or W64 file are; None where no header says so."""
    length = file.seek(0, os.SEEK_END)
    order = _order(file)
    find = {"wav": _wav, "rifx": _wav, "aiff": _aiff, "au": _au, "caf": _caf, "w64": _w64}[kind]
    found = find(file, length)
    if found is None:
        return None
    start, declared = found
    header = _plain_header(file, length) if kind == "wav" else b""
    if declared is not None and start + declared > length and _is_unknown(declared):
        declared = None
    if declared is not None:
        end = start + declared
        if end >= length or _is_chunks(file, end, length, kind):
            return Payload(start, declared, min(declared, length - start), order, header)
    end = _tail(file, start, length, kind) if kind in ("wav", "rifx", "aiff") else length
    return Payload(start, declared, end - start, order, header)


def true_size(kind: str, size: Payload) -> tuple[int, bytes]:
    """Where the header of an AIFF, AU, CAF or W64 declares its samples, and what it should say there."""
    back, form, counted = _SIZE_FIELDS[kind]
    form = size.order + form
    written = min(size.present + counted, 2 ** (8 * struct.calcsize(form) - 1) - 1)
    return size.start - back if back else 8, struct.pack(form, written)


def matroska_is_cut(file: BinaryIO, at: int) -> bool:
    """Whether a Matroska file ends inside an element; `at`: the content of one of its last blocks."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(at - 9, 0))
    before = file.read(min(at, 9))
    headers = (before[-1 - size_bytes :] for size_bytes in range(1, len(before)))
    header = next(
        (each for each in headers if each[0] in _BLOCKS and _vint_bytes(each[1]) == len(each) - 1), b""
    )
    if not header:
        return False
    at -= len(header)
    while at < length:
        file.seek(at)
        head = file.read(12)
        name_bytes = _vint_bytes(head[0])
        if name_bytes > 4:
            return False  # no element: garbage
        if len(head) <= name_bytes:
            return True
        size_bytes = _vint_bytes(head[name_bytes])
        if size_bytes > 8:
            return False
        if len(head) < name_bytes + size_bytes:
            return True
        name = int.from_bytes(head[:name_bytes])
        unknown = (1 << 7 * size_bytes) - 1  # all ones
        size = int.from_bytes(head[name_bytes : name_bytes + size_bytes]) & unknown
        at += name_bytes + size_bytes
        if name not in (_CLUSTER, _SEGMENT) or size != unknown:
            at += size
    return at > length


def _vint_bytes(first: int) -> int:
    """Length in bytes of a number in Matroska: the zeros in front of the first one of its bits count them."""
    return 9 - first.bit_length()


def _chunks(file: BinaryIO, at: int, length: int, kind: str) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a file from `at`: name, place of the content, declared size, which may be negative."""
    form, alignment = _CHUNKS[kind]
    form = _order(file) + form
    head = struct.calcsize(form)
    for _ in range(MAX_CHUNKS):
        if at + head > length:
            return
        file.seek(at)
        name, size = struct.unpack(form, file.read(head))
        if kind == "w64":  # it counts the header
            size -= head
        yield name, at + head, size
        if size < 0:
            return
        at += head + size
        if size % alignment and kind in ("wav", "rifx"):  # not every program knows that chunks are aligned
            file.seek(at)
            at -= size % alignment * (file.read(4) in _WAV_CHUNKS)
        at += -size % alignment


def _is_chunks(file: BinaryIO, at: int, length: int, kind: str) -> bool:
    """Whether what lies from `at` to the end of the file is chunks, or no more than padding."""
    if length - at < 8:
        return True
    if kind not in _CHUNKS:
        return False
    alignment = _CHUNKS[kind][1]
    for offset in (at + -at % alignment, at):  # not every program knows that chunks are aligned
        place = offset
        for name, content, size in islice(_chunks(file, offset, length, kind), MAX_TAIL_CHUNKS):
            named = all(32 <= byte < 127 for byte in name[:4]) and name[:4] not in _FILES
            if not named or size < 0 or content + size > length + 1:
                break
            place = content + size + -size % alignment
        if place > offset and length - place < 8:
            return True
    return False


def _tail(file: BinaryIO, start: int, length: int, kind: str) -> int:
    """Where the chunks behind the sound begin, by their names; `length` where there are none."""
    begin = max(start, length - _TAIL_BYTES)
    file.seek(begin)
    content = file.read(length - begin)
    places = [found.start() for found in islice(_TAIL.finditer(content), MAX_TAILS)]
    return next((at for place in places if _is_chunks(file, at := begin + place, length, kind)), length)


def _order(file: BinaryIO) -> str:
    file.seek(0)
    return "<" if file.read(4) in _LITTLE_ENDIAN else ">"


def _is_unknown(size: int) -> bool:
    """Whether a declared size in bytes stands for none."""
    return size == 0 or any(0 < 2**bits - size <= _HEADERS_BYTES or size == 2**bits for bits in _UNKNOWN_BITS)


def _wav(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    wide = None
    for name, place, size in _chunks(file, 12, length, "wav"):
        if name == b"ds64":
            file.seek(place + 8)
            wide = int.from_bytes(file.read(8), "little")
        elif name == b"data":
            declared = wide if wide is not None and size == 0xFFFFFFFF else size
            return place, declared or None
    return None


def _plain_header(file: BinaryIO, length: int) -> bytes:
    """The head of a WAV without other chunks, where one is out of place before the samples; else nothing."""
    form, moved = b"", False
    for name, place, size in _chunks(file, 12, length, "wav"):
        moved = moved or place % 2 > 0
        file.seek(place)
        if name == b"data":
            declared = struct.pack("<I", size)
            chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + declared
            return b"RIFF" + declared + b"WAVE" + chunks if form and moved else b""
        if name == b"fmt " and size <= _MAX_FORM_BYTES:
            form = file.read(size + size % 2)
    return b""


def _aiff(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    for name, place, size in _chunks(file, 12, length, "aiff"):
        if name == b"SSND":
            return place + 8, size - 8 if size > 8 else None
    return None


def _au(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    order = _order(file)
    file.seek(4)
    start, size = struct.unpack(order + "II", file.read(8).ljust(8, b"\0"))
    return (start, size or None) if 24 <= start < length else None


def _caf(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    for name, place, size in _chunks(file, 8, length, "caf"):
        if name == b"data":
            return place + 4, size - 4 if size > 4 else None  # -1: up to the end
    return None


def _w64(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    for name, place, size in _chunks(file, 40, length, "w64"):
        if name.startswith(b"data"):
            return place, size if size > 0 else None
    return None
