"""Frames of AMR files (RFC 4867, 5): what of a file is sound.

A frame of 20 ms is a byte of header, which tells the mode, and as many bytes of speech as the mode has. The
file names no length, and FFmpeg takes whatever stands between or behind the frames for more of them.
"""

import io
import os

from ser_core.audio import faults
from ser_core.audio.stored import Part

# Bytes of speech by mode; 5 are a pause. 14 (in AMR-WB, a frame that was lost) and 15 (nothing was sent) have
# none. Other modes are never stored.
_BYTES = {
    b"#!AMR\n": dict(enumerate((12, 13, 15, 17, 19, 20, 26, 31, 5))) | {15: 0},
    b"#!AMR-WB\n": dict(enumerate((17, 23, 32, 36, 40, 46, 50, 58, 60, 5))) | {14: 0, 15: 0},
}
_RESERVED_BITS = 0x83  # of a header, which are 0
_TAGS = (b"TAG", b"APETAGEX", b"ID3")  # that programs write behind the sound
CHAIN = 5  # frames in a row, so that other bytes are not taken for one
ZEROS = 5  # frames of nothing else, as no coder writes them
MAX_BYTES = 64 * 1024**2  # eleven hours; more is read as it is


def frames(file: Part) -> tuple[Part, bool]:
    """`file` without what is no frame, and whether that was more than a tag or zeros behind the sound.

    Raises:
        AudioError: `unsupported_format` where there are several channels, which no decoder here knows.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    content = file.read(MAX_BYTES)
    head = next((each for each in _BYTES if content.startswith(each)), b"")
    if not head:
        raise faults.unsupported("The sound in this file is coded in an unknown way")
    if size > MAX_BYTES:
        return file, False
    modes = _BYTES[head]
    sound, damaged = [head], False
    start = at = len(head)  # of frames without a gap
    last = at  # where the last frame ends that is not all zeros
    while at < size:
        end = _frame_end(content, at, modes)
        if end is not None:
            if content[at:end].strip(b"\0"):
                damaged = damaged or at - last > ZEROS * (end - at)
                last = end
            at = end
            continue
        if content.startswith(_TAGS, at):
            break
        damaged = True
        sound.append(content[start:at])
        rest = range(at + 1, size)
        start = at = last = next((place for place in rest if _are_frames(content, place, modes)), size)
    sound.append(content[start:last])
    whole = b"".join(sound)
    return (file if len(whole) == size else Part(io.BytesIO(whole), 0, len(whole))), damaged


def _frame_end(content: bytes, at: int, modes: dict[int, int]) -> int | None:
    """Where the frame at `at` ends, which may be behind the end of `content`; None where there is none."""
    header = content[at]
    speech = None if header & _RESERVED_BITS else modes.get(header >> 3)
    return None if speech is None else at + 1 + speech


def _are_frames(content: bytes, at: int, modes: dict[int, int]) -> bool:
    """Whether frames follow each other from `at`, up to the end or long enough to be no chance."""
    end: int | None = at
    for _ in range(CHAIN):
        if end is None or end >= len(content):
            break
        end = _frame_end(content, end, modes)
    return end is not None and end > at
