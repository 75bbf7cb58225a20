"""Pages of Ogg files: the recordings that a file chains, and what is left of a page that was cut.

The layout is RFC 3533's: a page is 27 bytes of header, a table of lengths, and the content. A packet is as
many lengths of 255 as it needs and one below.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import BinaryIO

from ser_core.audio.stored import Part

CHUNK_BYTES = 1024**2  # read at once while searching
HEADER_BYTES = 27
_FIRST, _LAST = 2, 4  # flags of the first and of the last page of a stream
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Links:
    """The recordings of an Ogg file, one behind the other."""

    parts: list[Part]  # each with the whole packets of a last page that was cut
    whole: bool  # whether each ends with its end mark
    damaged: bool  # whether a page is missing or was changed


@dataclass
class _Link:
    start: int  # in bytes, as the others
    last: int = 0  # where its last page starts
    end: int = 0  # of its last page, by its header
    ended: bool = False


def links(file: Part) -> Links:
    """What the Ogg file in `file` chains.

    A page that begins a stream opens a link, unless the page before it begins one too: then both are tracks
    of the same link.
    """
    length = file.seek(0, os.SEEK_END)
    found: list[_Link] = []
    begins, damaged, short = False, False, False
    numbers: dict[bytes, int] = {}  # of the last page of each stream
    for at, page, size in _pages(file):
        flags, stream, number = page[5], page[14:18], int.from_bytes(page[18:22], "little")
        if flags & _FIRST and not begins:
            found.append(_Link(at))
            numbers = {}
        begins = bool(flags & _FIRST)
        if not found:
            damaged = True  # without its head it cannot be read
            continue
        damaged = damaged or (stream in numbers and number != (numbers[stream] + 1) % 2**32)
        numbers[stream] = number
        # Alone the last page may be cut: one that another follows claims too much.
        damaged, short = damaged or short, len(page) < size
        damaged = damaged or (not short and page[22:26] != _checksum(page))
        found[-1].last, found[-1].end, found[-1].ended = at, at + size, bool(flags & _LAST)
    if not found:
        return Links([file], whole=False, damaged=False)
    parts, whole = [], True
    for link, end in zip(found, [*(link.start for link in found[1:]), length], strict=True):
        if link.end > end:
            link.ended = False
            page = _whole_packets(file, link.last, end)
            end = link.last + len(page)
            parts.append(file.part(link.start, end, (link.last - link.start, page)))
        else:
            parts.append(file.part(link.start, end))
        whole = whole and link.ended
    return Links(parts, whole, damaged)


def is_multiplexed(file: BinaryIO) -> bool:
    """Whether an Ogg file holds several tracks at once: several pages at its start begin a stream."""
    flags = [page[5] for _, page, _ in islice(_pages(file), 2)]
    return len(flags) == 2 and all(each & _FIRST for each in flags)


def _whole_packets(file: BinaryIO, at: int, end: int) -> bytes:
    """The page at `at` with the packets alone that lie before `end`; empty where there are none."""
    file.seek(at)
    page = file.read(end - at)
    lengths = page[HEADER_BYTES : HEADER_BYTES + page[26]]
    start = HEADER_BYTES + len(lengths)
    ends = list(accumulate(lengths))
    fit = (n for n, last in enumerate(ends, start=1) if start + last <= len(page) and lengths[n - 1] < 255)
    count = max(fit, default=0)
    if len(lengths) < page[26] or not count:
        return b""
    head = page[:5] + bytes([page[5] & ~_LAST]) + page[6:26] + bytes([count]) + lengths[:count]
    content = head + page[start : start + ends[count - 1]]
    return content[:22] + _checksum(content) + content[26:]


def _checksum(page: bytes) -> bytes:
    """The four bytes of the checksum of a page: as zlib's, with the order of bits reversed, and from 0."""
    content = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    value = zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return struct.pack(">I", value).translate(_REVERSED)


def _pages(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Each page of an Ogg file: its place, its bytes, and how many it should have. Garbage is skipped.

    Of a page that is cut, or in which another one begins, there are the bytes before the end of the file.
    """
    file.seek(0)
    buffer, base = b"", 0
    most = HEADER_BYTES + 255 * 256
    while True:
        chunk = file.read(CHUNK_BYTES)
        buffer += chunk
        at = buffer.find(b"OggS")
        while at >= 0 and (len(buffer) - at >= most or not chunk):
            header = buffer[at : at + HEADER_BYTES]
            if len(header) == HEADER_BYTES and header[4] == 0 and header[5] < 8:
                table = buffer[at + HEADER_BYTES : at + HEADER_BYTES + header[26]]
                size = HEADER_BYTES + header[26] + sum(table)
                yield base + at, buffer[at : at + size], size
                at = buffer.find(b"OggS", at + HEADER_BYTES)
            else:
                at = buffer.find(b"OggS", at + 4)
        if not chunk:
            return
        keep = at if at >= 0 else max(len(buffer) - 3, 0)
        base, buffer = base + keep, buffer[keep:]
