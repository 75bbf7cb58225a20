"""Recordings of 3 s that are joined, have something else in front, or lack a part in their middle."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from bad_inputs import amr, with_soundfile
from defect_kinds import KINDS, cut, sound, whole


@dataclass(frozen=True)
class Case:
    """A defect of some containers and codecs, and what is read."""

    defect: str
    where: str
    seconds: float
    warning: str  # its name; nothing where nothing is said
    make: Callable[[], bytes]


def pcm(container: str) -> bytes:
    """`sound` in a container of libsndfile."""
    return with_soundfile(sound(), container)


def channels(count: int, rate: int, container: str, codec: str | None = None) -> bytes:
    """`sound` in so many channels alike."""
    return with_soundfile(np.stack([sound(rate=rate)] * count, axis=1), container, codec, rate)


def joined(container: str, codec: str | None, *forms: tuple[int, int]) -> bytes:
    """Files of these channels and rates, one behind the other."""
    return b"".join(channels(count, rate, container, codec) for count, rate in forms)


def of(container: str, codec: str) -> bytes:
    """The file of the kind with these names."""
    (kind,) = (kind for kind in KINDS if (kind.container, kind.codec) == (container, codec))
    return whole(kind)


def twice(container: str, codec: str) -> bytes:
    """A file of a kind, two times."""
    return 2 * of(container, codec)


def ogg_pages(content: bytes) -> list[bytes]:
    """The pages of an Ogg file whose content nowhere looks like one."""
    return [b"OggS" + page for page in content.split(b"OggS")[1:]]


def without_page(container: str, codec: str) -> bytes:
    """An Ogg file that lacks one of its pages."""
    pages = ogg_pages(of(container, codec))
    return b"".join(pages[:3] + pages[4:])


def with_changed_page(container: str, codec: str) -> bytes:
    """An Ogg file in one of whose pages a byte was changed."""
    pages = ogg_pages(of(container, codec))
    pages[3] = pages[3][:-1] + bytes([pages[3][-1] ^ 1])
    return b"".join(pages)


def without_head(container: str, codec: str) -> bytes:
    """The second half of an Ogg file, as of a broadcast, and then a whole one."""
    pages = ogg_pages(of(container, codec))
    return b"".join(pages[4:]) + of(container, codec)


def cut_in_an_index() -> bytes:
    """An MP4 that ends inside the index of its last fragment, which FFmpeg refuses."""
    content = of("MP4 in fragments", "AAC")
    return content[: content.rindex(b"moof") + 20]


def cut_between_packets() -> bytes:
    """An MPEG-TS that ends with a whole packet."""
    content = of("MPEG-TS", "AAC")
    return content[: len(content) * 57 // 100 // 188 * 188]


def damaged(container: str, codec: str, removed: int = 0) -> bytes:
    """A file in whose middle a byte was changed, or so many are missing."""
    content = bytearray(of(container, codec))
    middle = len(content) // 2
    content[middle] ^= 1
    del content[middle : middle + removed]
    return bytes(content)


def with_zeros() -> bytes:
    """A WMA in whose middle 1.5 kB are zeros, as where a disk lost them."""
    content = bytearray(of("WMA", "WMA 2"))
    content[15_000:16_500] = bytes(1_500)
    return bytes(content)


def with_a_page_that_claims_more() -> bytes:
    """An Ogg file one of whose pages declares more than the rest of the file."""
    pages = ogg_pages(channels(1, 16_000, "OGG", "VORBIS"))
    page = bytearray(pages[3])
    page[27 : 27 + page[26]] = b"\xff" * page[26]
    return b"".join([*pages[:3], bytes(page), *pages[4:]])


def not_aligned(name: bytes) -> bytes:
    """A WAV with a chunk of odd length before the samples, and without the byte that should follow it."""
    content = pcm("WAV")
    return content[:36] + name + b"\x05\0\0\0\0\0\0\0\0" + content[36:]


ONE_RECORDING = "several recordings, one behind the other"
IN_FRONT = "zeros, text or the rest of a frame in front"
MEBIBYTE = 1024**2
JOINED = (
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
        5.27,
        "No end",
        lambda: joined("OGG", "OPUS", (1, 48_000), (1, 24_000))[:-3000],
    ),
    Case(IN_FRONT, "MP3", 3.0, "", lambda: bytes(5000) + pcm("MP3")),
    Case(
        IN_FRONT,
        "MP3",
        3.0,
        "",
        lambda: b"HTTP/1.0 200 OK\r\n\r\n" + pcm("MP3"),
    ),
    Case(
        IN_FRONT,
        "MP3",
        3.0,
        "",
        lambda: pcm("MP3")[150:600] + pcm("MP3"),
    ),
    Case(
        IN_FRONT,
        "MP3",
        3.0,
        "",
        lambda: b"\xff\xfb\x90\x44" + bytes(300) + pcm("MP3"),  # as if a frame began there
    ),
    Case(
        "several recordings, one behind the other: the first one's size is right",
        "WAV",
        6.0,
        "Wrong size",
        lambda: pcm("WAV") + pcm("WAV"),
    ),
    *(
        Case(ONE_RECORDING, f"{container} {codec}", 6.0, "", partial(twice, container, codec))
        for container, codec in (
            ("FLAC", "FLAC"),
            ("AMR", "AMR"),
            ("AMR", "AMR-WB"),
            ("Ogg", "FLAC"),
            ("WMA", "WMA 2"),
            ("M4A, index behind", "AAC"),
            ("MP4 in fragments", "AAC"),
        )
    ),
    *(
        Case(
            f"{ONE_RECORDING}: the first one's size is right",
            each,
            6.0,
            "Wrong size",
            lambda each=each: 2 * pcm(each),
        )
        for each in ("AIFF", "W64", "AU")
    ),
    Case(
        "several recordings, the first one cut off",
        "Ogg Opus",
        4.6,
        "No end, Damaged",
        lambda: cut(of("Ogg", "Opus")) + of("Ogg", "Opus"),
    ),
    *(
        Case(
            "a megabyte in front",
            container,
            3.0,
            "",
            lambda container=container, codec=codec, front=front: front + of(container, codec),
        )
        for container, codec in (("MP3", "MP3"), ("MP2", "MP2"), ("ADTS", "AAC"))
        for front in (
            np.random.default_rng(1).bytes(MEBIBYTE),
            bytes(MEBIBYTE),
            b"no sound" * (MEBIBYTE // 8),
        )
    ),
    *(
        Case(
            "a tag or zeros behind the sound",
            f"AMR {codec}",
            3.0,
            "",
            lambda codec=codec, tail=tail: of("AMR", codec) + tail,
        )
        for codec in ("AMR", "AMR-WB")
        for tail in (b"TAG" + bytes(125), bytes(50_000), b"APETAGEX" + bytes(200))
    ),
    Case("damaged inside", "FLAC", 2.9, "Damaged", partial(damaged, "FLAC", "FLAC")),
    Case("damaged inside", "FLAC", 2.9, "Damaged", partial(damaged, "FLAC", "FLAC", 100)),
    Case("damaged inside", "AMR", 3.0, "Damaged", partial(damaged, "AMR", "AMR", 100)),
    Case("damaged inside", "AMR-WB", 2.9, "Damaged", partial(damaged, "AMR", "AMR-WB", 100)),
    Case("damaged inside", "WMA", 2.79, "Damaged", with_zeros),
    Case("damaged inside", "Ogg Vorbis", 3.0, "Damaged", with_a_page_that_claims_more),
    Case("cut at its start", "MPEG-TS", 2.9, "", lambda: of("MPEG-TS", "AAC")[1000:]),
    Case("cut inside an index, or between packets", "MP4 in fragments", 2.56, "No end", cut_in_an_index),
    Case("cut inside an index, or between packets", "MPEG-TS", 1.7, "No end", cut_between_packets),
    Case(
        "a page is missing or was changed",
        "Ogg Opus",
        2.0,
        "Damaged, Cut off",
        partial(without_page, "Ogg", "Opus"),
    ),
    Case(
        "a page is missing or was changed",
        "Ogg Opus",
        2.0,
        "Damaged, Cut off",
        partial(with_changed_page, "Ogg", "Opus"),
    ),
    Case(
        "without its head, then a whole one", "Ogg FLAC", 3.0, "Damaged", partial(without_head, "Ogg", "FLAC")
    ),
    *(
        Case("a chunk that is not aligned", "WAV", 3.0, "", partial(not_aligned, name))
        for name in (b"junk", b"LIST", b"bext")
    ),
    Case("pauses that a phone left out", "AMR", 3.0, "", partial(amr, seconds=3, dtx=True)),
    Case("pauses that a phone left out", "AMR-WB", 3.0, "", partial(amr, True, 3, True)),
)
