"""How much sound a file holds, by its headers and in truth.

Sizes in headers can be wrong: a recorder that lost power leaves the size of an earlier state, and WAV cannot
write a size above 4 GiB. An Ogg file may hold several recordings, one behind the other.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

CHUNK_BYTES = 1024**2  # read at once while searching
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # of WAV data that were streamed


@dataclass(frozen=True)
class Payload:
    """Where the samples of a file are, by its header and in truth. All in bytes."""

    start: int
    declared: int | None  # None: the header does not know
    present: int  # up to the end of the samples, whatever the header says

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
    found = {"wav": _wav, "aiff": _aiff, "au": _au, "caf": _caf, "w64": _w64}[kind](file, length)
    if found is None:
        return None
    start, declared = found
    if declared is None:
        return Payload(start, None, length - start)
    end = start + declared
    behind = length - end
    if behind <= 0 or _is_chunks(file, end, length, big=kind == "aiff"):
        return Payload(start, declared, min(declared, length - start))
    return Payload(start, declared, length - start)


def ogg_links(file: BinaryIO) -> tuple[list[tuple[int, int]], bool]:
    """The recordings that an Ogg file chains, as `(start, end)` in bytes, and whether the last one is whole.

    A page that begins a stream opens a link, unless the page before it begins one too: then both are tracks
    of the same link (RFC 3533).
    """
    starts: list[int] = []
    begins, ended, end = False, False, 0
    for at, flags, size in _ogg_pages(file):
        if flags & 2 and not begins:
            starts.append(at)
        begins, ended, end = bool(flags & 2), bool(flags & 4), at + size
    length = file.seek(0, os.SEEK_END)
    edges = [*starts, length]
    return list(pairwise(edges)), ended and end <= length


def _ogg_pages(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Each page of an Ogg file: its place, its flags, and its length in bytes. Garbage between is skipped."""
    file.seek(0)
    buffer, base = b"", 0
    while True:
        chunk = file.read(CHUNK_BYTES)
        buffer += chunk
        at = buffer.find(b"OggS")
        while at >= 0 and (len(buffer) - at >= 27 + 255 or not chunk):
            header = buffer[at : at + 27]
            if len(header) == 27 and header[4] == 0 and header[5] < 8:
                table = buffer[at + 27 : at + 27 + header[26]]
                size = 27 + header[26] + sum(table)
                yield base + at, header[5], size
                at = buffer.find(b"OggS", at + 27)
            else:
                at = buffer.find(b"OggS", at + 4)
        if not chunk:
            return
        keep = at if at >= 0 else max(len(buffer) - 3, 0)
        base, buffer = base + keep, buffer[keep:]


def _chunks(file: BinaryIO, at: int, length: int, big: bool) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a RIFF or IFF file from `at`: name, place of the content, declared size."""
    while at + 8 <= length:
        file.seek(at)
        name, size = struct.unpack(">4sI" if big else "<4sI", file.read(8))
        yield name, at + 8, size
        at += 8 + size + (size & 1)


def _is_chunks(file: BinaryIO, at: int, length: int, big: bool) -> bool:
    """Whether what lies from `at` to the end of the file is chunks, or no more than padding."""
    if length - at < 8:
        return True
    for offset in (at + (at & 1), at):  # chunks begin at even places, but not every program knows
        place = offset
        for name, content, size in _chunks(file, offset, length, big):
            if not all(32 <= byte < 127 for byte in name) or content + size > length + 1:
                break
            place = content + size + (size & 1)
        if place > offset and length - place < 8:
            return True
    return False


def _wav(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    wide = None
    for name, place, size in _chunks(file, 12, length, big=False):
        if name == b"ds64":
            file.seek(place + 8)
            wide = int.from_bytes(file.read(8), "little")
        elif name == b"data":
            if size in _UNKNOWN_SIZES:
                return place, wide or None
            return place, size
    return None


def _aiff(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    for name, place, size in _chunks(file, 12, length, big=True):
        if name == b"SSND":
            return place + 8, size - 8 if size > 8 and size not in _UNKNOWN_SIZES else None
    return None


def _au(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    file.seek(4)
    start, size = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
    return (start, None if size in _UNKNOWN_SIZES else size) if 24 <= start < length else None


def _caf(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    at = 8
    while at + 12 <= length:
        file.seek(at)
        name, size = struct.unpack(">4sq", file.read(12))
        if name == b"data":
            return at + 16, None if size <= 4 else size - 4  # -1: up to the end
        if size < 0:
            return None
        at += 12 + size
    return None


def _w64(file: BinaryIO, length: int) -> tuple[int, int | None] | None:
    at = 40
    while at + 24 <= length:
        file.seek(at)
        name, size = file.read(16), int.from_bytes(file.read(8), "little")
        if name.startswith(b"data"):
            return at + 24, size - 24 if size > 24 else None
        if size < 24:
            return None
        at += size + -size % 8
    return None
