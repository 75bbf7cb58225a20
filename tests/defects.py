"""Recordings of 3 s with a defect that not every container can have, and a table of what happens to all.

`python tests/defects.py` reads them, and those of `defect_kinds`, and writes the table into
docs/reliability.md.
"""

import struct
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
from bad_files import chunk
from bad_inputs import wav, with_av, with_flac_length, with_soundfile
from defect_kinds import (
    KINDS,
    LIST,
    PCM,
    behind_id3,
    cut,
    in_latin1,
    rf64,
    sound,
    tracks,
    video_longer_than_its_sound,
    whole,
)
from defects_joined import JOINED, Case, pcm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from ser_core.audio.decode import stream  # noqa: E402
from ser_core.audio.waveform import SAMPLE_RATE  # noqa: E402
from ser_core.errors import AudioError  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: python tests/defects.py -->", "<!-- end: python tests/defects.py -->"


def antiphase(container: str, second: float) -> bytes:
    """Two channels, the second of which is the first, inverted and `second` as strong."""
    left = sound()
    return with_soundfile(np.stack([left, -second * left], axis=1), container)


def resized(content: bytes, marker: bytes, offset: int, form: str, size: int) -> bytes:
    """`content` with another declared size, so many bytes behind `marker`."""
    at = content.index(marker) + len(marker) + offset
    return content[:at] + struct.pack(form, size) + content[at + struct.calcsize(form) :]


def sized(container: str, data_bytes: int) -> bytes:
    """`sound` in a container that declares `data_bytes` of samples."""
    place = {
        "AIFF": (b"SSND", 0, ">I", 8),
        "AU": (b".snd", 4, ">I", 0),
        "CAF": (b"data", 0, ">q", 4),
        "W64": (b"data", 12, "<Q", 24),
    }[container]
    return resized(pcm(container), *place[:3], data_bytes + place[3])


def streamed(share: float = 1.0) -> bytes:
    """A WebM as browsers record it: no length, no index; the first `share` of it."""
    content = with_av(sound(rate=48_000)[None], "webm", "libopus", live="1")
    return content[: int(share * len(content))]


SHORT, RIGHT, LONG = len(PCM) // 2, len(PCM), 2 * len(PCM)
SIZE_SHORT = "declared size too short, as after a crash or above 4 GiB"
SIZE_UNKNOWN = "declared size 0 or the largest number, as when streamed"
SIZE_LONG = "declared size too long"
TRACKS = "several tracks, none marked"
CASES = (
    *JOINED,
    Case(
        "streamed, without a length, cut off",
        "FLAC",
        1.54,
        "No end",
        lambda: cut(with_flac_length(pcm("FLAC"), 0)),
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
    *(
        Case(
            f"{TRACKS}: the loudest is read",
            where,
            3.5,
            "Several tracks",
            partial(tracks, (0.02, 0.5), None, *form),
        )
        for where, form in (
            ("WMV", ("asf", "wmav2")),
            ("Ogg Opus", ("ogg", "libopus")),
            ("MPEG-TS", ("mpegts", "mp2")),
        )
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


@cache
def made(case: Case) -> bytes:
    """The file of `case`."""
    return case.make()


@cache
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
        places = rows.setdefault(case.defect, {}).setdefault(_words(made(case)), [])
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
