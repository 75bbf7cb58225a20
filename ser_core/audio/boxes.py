"""Boxes of MP4 and QuickTime files (ISO 14496-12): whether one is cut, and an index that claims too much."""

import os
import re
import struct
from typing import BinaryIO

from ser_core.audio import faults

# Where the boxes of the index say how many samples there are: behind version, flags and, in the first, a size
# that holds for all of them.
_CLAIMED_SAMPLES = re.compile(rb"(?:stsz.{8}|trun.{4})(.{4})", re.DOTALL)
# A track whose samples all last one unit of its time, as those of PCM do. FFmpeg makes an entry a chunk.
_UNITS = re.compile(rb"stts.{4}\x00\x00\x00\x01.{4}\x00\x00\x00\x01", re.DOTALL)
HARMLESS_SAMPLES = 100_000


def whole_end(file: BinaryIO) -> tuple[int, bool]:
    """Where what can be read of the file ends, and whether it ends inside of a box.

    FFmpeg reads nothing of a file that ends inside of the index of a fragment.

    FFmpeg makes 24 bytes of each claimed sample before it looks for any: a damaged number of a file of 4 kB
    takes gigabytes. A worker's limit (`ser_core.audio.isolated`) holds for what hides from this.

    Raises:
        AudioError: `corrupt` where the index claims more samples than the file has bytes.
    """
    size, at = file.seek(0, os.SEEK_END), 0
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:  # it follows, in 64 bits
            length = int.from_bytes(file.read(8))
        if name in (b"moov", b"moof"):
            if name == b"moof" and at + length > size:
                return at, True
            index = file.read(min(length or size, size))
            for track in index.split(b"trak"):
                claims = [] if _UNITS.search(track) else _CLAIMED_SAMPLES.findall(track)
                if any(int.from_bytes(claimed) > max(size, HARMLESS_SAMPLES) for claimed in claims):
                    raise faults.corrupt()
        at = at + length if length >= 8 else size  # 0: up to the end of the file
    return size, at != size


def heads(file: BinaryIO) -> list[int]:
    """Where the files begin that are joined in this one: at its start, and at further boxes with a type."""
    size, at = file.seek(0, os.SEEK_END), 0
    found = [0]
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8))
        if name == b"ftyp" and at:
            found.append(at)
        at = at + length if length >= 8 else size
    return found
