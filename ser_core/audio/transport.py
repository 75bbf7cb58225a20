"""MPEG transport streams (ISO 13818-1): whether the last frames of a track are cut.

A stream is packets of 188 bytes, on discs behind 4 bytes of time. The first of a unit (PES) tells its length.
"""

import os
from typing import BinaryIO

PACKET_BYTES = 188
TIME_BYTES = 4
TAIL_PACKETS = 5_000  # in which the last unit of a sound track is looked for
SYNC = 0x47
UNIT_HEADER_BYTES = 6  # that the length of a unit does not count


def is_cut(file: BinaryIO, track: int) -> bool:
    """Whether the file ends inside of a packet, or of a unit of the track with this number (PID)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(PACKET_BYTES)
    timed = file.read(1) != bytes([SYNC])
    step = PACKET_BYTES + TIME_BYTES * timed
    if size % step:
        return True
    missing = 0
    for number in range(max(size // step - TAIL_PACKETS, 0), size // step):
        file.seek(number * step + TIME_BYTES * timed)
        packet = file.read(PACKET_BYTES)
        if packet[0] != SYNC or int.from_bytes(packet[1:3]) & 0x1FFF != track or not packet[3] & 0x10:
            continue
        content = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if packet[1] & 0x40:  # it begins a unit
            length = int.from_bytes(content[4:6])  # 0: not told
            missing = length + UNIT_HEADER_BYTES if length else 0
        missing -= len(content)
    return missing > 0
