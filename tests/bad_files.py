"""A corpus of bad files in every format: damaged ones, and invalid headers.

`python tests/bad_files.py FOLDER` writes it, for tests of the page by hand or as seeds of the fuzzer. Each
file must give an `AudioError` or valid samples within the limits, and must not take much memory.
"""

import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from bad_inputs import (
    BAD,
    COARSE,
    FORMATS,
    float_wav,
    good,
    silent_hours,
    surround,
    tone,
    wav,
    with_av,
    with_soundfile,
)

FINDS = Path(__file__).parent / "finds"  # found by the fuzzer and minimised; each once caused an exception
CUTS = (1, 4, 8, 12, 44, 100)  # bytes of truncated files
SHARES = (0.1, 0.5, 0.9, 0.999)  # the same as shares of the file
VARIANTS = 4  # of each kind of damage at a random position
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
HUGE = 0xFFFFFFFF


def corpus() -> Iterator[tuple[str, bytes]]:
    """Name and content of each bad file."""
    for path in sorted(FINDS.iterdir()):
        yield path.name, path.read_bytes()
    for name, bad in BAD.items():
        yield name, bad.make()
    for name in FORMATS | COARSE:
        for damage, content in damaged(good(name), np.random.default_rng([*name.encode()])):
            yield f"{name}, {damage}", content
    for name, make in ABSURD.items():
        yield name, make()


def damaged(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """`content` with typical damage of disks and networks, and with deliberate damage; and what it is."""
    for cut in (*CUTS, *(int(share * len(content)) for share in SHARES)):
        yield f"cut at {cut}", content[:cut]
    head = min(len(content), 200)  # where headers are
    for number in range(VARIANTS):
        yield f"head flipped {number}", flipped(content, rng.integers(0, head, 3), rng)
        yield f"flipped {number}", flipped(content, rng.integers(0, len(content), 20), rng)
        start, size = rng.integers(0, len(content)), int(rng.integers(1, 5000))
        yield f"zeros {number}", content[:start] + bytes(size) + content[start + size :]
        yield f"a hole {number}", content[:start] + content[start + size :]
        yield f"doubled {number}", content[: start + size] + content[start:]
        at = int(rng.integers(4, head - 4))
        yield f"huge number {number}", content[:at] + b"\xff" * 4 + content[at + 4 :]
    yield "behind garbage", rng.bytes(64) + content
    yield "before garbage", content + rng.bytes(5000)
    yield "twice", content + content
    yield "backwards", content[::-1]


def flipped(content: bytes, places: np.ndarray, rng: np.random.Generator) -> bytes:
    """`content` with one bit flipped in each byte at `places`; checksums of Ogg pages are corrected."""
    flipped_content = bytearray(content)
    for place in places:
        flipped_content[place] ^= 1 << int(rng.integers(8))
    return with_ogg_checksums(bytes(flipped_content))


def with_ogg_checksums(content: bytes) -> bytes:
    """`content` with correct checksums of all Ogg pages, so that readers accept the pages."""
    pages = content.split(b"OggS")
    return pages[0] + b"".join(b"OggS" + _checked(page) for page in pages[1:])


def _checked(page: bytes) -> bytes:
    """The Ogg page `page`, given without its magic number, with its correct checksum."""
    if len(page) < 23:
        return page
    size = 23 + page[22] + sum(page[23 : 23 + page[22]])
    blank = b"OggS" + page[:18] + bytes(4) + page[22:size]
    # Ogg's CRC uses zlib's polynomial with bits in reverse order, and without its two inversions.
    crc = zlib.crc32(blank.translate(MIRRORED), HUGE) ^ HUGE
    return page[:18] + int(f"{crc:032b}"[::-1], 2).to_bytes(4, "little") + page[22:]


def patched(content: bytes, marker: bytes, offset: int, value: bytes) -> bytes:
    """`content` with `value` written `offset` bytes after the first `marker`."""
    at = content.index(marker) + len(marker) + offset
    return with_ogg_checksums(content[:at] + value + content[at + len(value) :])


def chunk(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    """A RIFF chunk; `size`: the size in its header, if wrong."""
    return kind + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    """A WAV file of these chunks."""
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
DATA = chunk(b"data", (tone() * 32767).astype("<i2").tobytes())


def atom(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    """An MP4 atom; `size`: the size in its header, if wrong."""
    return struct.pack(">I", len(body) + 8 if size is None else size) + kind + body


def nested(wrap: Callable[[bytes], bytes], depth: int) -> bytes:
    """`wrap` applied `depth` times, starting with nothing."""
    body = b""
    for _ in range(depth):
        body = wrap(body)
    return body


FTYP = atom(b"ftyp", b"M4A \0\0\0\0M4A mp42isom")


def ebml(kind: str, body: bytes, size: int | None = None) -> bytes:
    """A Matroska element with the hexadecimal id `kind`; `size`: the size in its header, if wrong."""
    length = len(body) if size is None else size
    return bytes.fromhex(kind) + b"\x01" + length.to_bytes(7, "big") + body


def webm(
    sound: bytes = b"", rate: float = 48_000.0, channels: bytes = b"\1", codec: bytes = b"A_PCM"
) -> bytes:
    """A WebM file with one track of raw 16-bit samples, whatever its header declares."""
    audio = ebml("e1", ebml("b5", struct.pack(">d", rate)) + ebml("9f", channels) + ebml("6264", b"\x10"))
    name = codec + b"/INT/LIT" if codec == b"A_PCM" else codec
    track = ebml("ae", ebml("d7", b"\1") + ebml("73c5", b"\1") + ebml("83", b"\2") + ebml("86", name) + audio)
    block = ebml("a3", b"\x81\0\0\x80" + sound)
    segment = ebml("1654ae6b", track) + ebml("1f43b675", ebml("e7", b"\0") + block)
    return ebml("1a45dfa3", ebml("4282", b"webm")) + ebml("18538067", segment)


SOUND = (tone(rate=48_000) * 32767).astype("<i2").tobytes()


def synchsafe(size: int) -> bytes:
    """A size as in an ID3 tag: four times 7 bits."""
    return bytes(size >> shift & 127 for shift in (21, 14, 7, 0))


def id3(body: bytes, size: int | None = None) -> bytes:
    """An ID3v2.3 tag; `size`: the size in its header, if wrong."""
    return b"ID3\3\0\0" + synchsafe(len(body) if size is None else size) + body


def picture(pixels: int) -> bytes:
    """A PNG whose header declares `pixels` a side, in one colour: small, but huge when unpacked."""
    rows = zlib.compress(bytes(10_000_000), 9)
    parts = (b"IHDR", struct.pack(">IIBBBBB", pixels, pixels, 8, 6, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def with_cover(image: bytes) -> bytes:
    """An MP3 file with a picture in its tag."""
    frame = b"\0image/png\0\3\0" + image
    return id3(b"APIC" + struct.pack(">I", len(frame)) + bytes(2) + frame) + good("MP3")


def with_flac_block(kind: int, body: bytes, size: int | None = None) -> bytes:
    """A FLAC file with one more metadata block after the first one, which ends at byte 42."""
    flac = good("FLAC")
    length = (len(body) if size is None else size).to_bytes(3, "big")
    return flac[:4] + bytes([flac[4] & 0x7F]) + flac[5:42] + bytes([kind]) + length + body + flac[42:]


def with_flac_rate(rate: int) -> bytes:
    """A FLAC file whose header declares `rate` Hz, of 20 bits."""
    flac = good("FLAC")
    return flac[:18] + (rate << 4 | flac[20] & 15).to_bytes(3, "big") + flac[21:]


def stereo_of(values: float) -> bytes:
    """A float WAV file whose samples are all `values`."""
    file = io.BytesIO(float_wav(np.full(16_000, values, np.float32)))
    return file.getvalue()


def huge_index() -> bytes:
    """An M4A file of 10 kB whose index declares 67 million samples, for which FFmpeg allocates 2.5 GB."""
    number = struct.pack(">I", 2**26)
    return patched(patched(good("M4A"), b"stsz", 8, number), b"stsc", 12, number)


def fragmented() -> bytes:
    """An M4A file in fragments, as it is streamed during recording."""
    return with_av(tone(rate=48_000)[None], "mp4", "aac", movflags="frag_keyframe+empty_moov")


ABSURD: dict[str, Callable[[], bytes]] = {
    "huge index.m4a": huge_index,
    "huge index of a piece.m4a": lambda: patched(fragmented(), b"trun", 0, struct.pack(">II", 1, 2**26)),
    **{f"only {magic.hex()}": lambda magic=magic: magic for magic in (b"fLaC", b"OggS", b"ID3", b"\xff\xfb")},
    **{f"{rate} Hz.flac": lambda rate=rate: with_flac_rate(rate) for rate in (0, 1, 655_350, 0xFFFFF)},
    **{
        f"{rate} Hz.webm": lambda rate=rate: webm(SOUND, rate)
        for rate in (0.0, 1.0, -48_000.0, 1e300, 2.0**31, float("nan"), float("inf"))
    },
    **{
        f"channels {count.hex()}.webm": lambda count=count: webm(SOUND, channels=count)
        for count in (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff" * 8)
    },
    **{
        f"{codec.decode()}.webm": lambda codec=codec: webm(SOUND, codec=codec)
        for codec in (b"A_OPUS", b"A_AAC", b"A_VORBIS", b"A_FLAC", b"A_MPEG/L3", b"A_MS/ACM", b"V_VP9")
    },
    "nested elements.webm": lambda: ebml("1a45dfa3", b"") + nested(lambda body: ebml("18538067", body), 2000),
    "endless element.webm": lambda: webm(SOUND).replace(b"\x18\x53\x80\x67", b"\x18\x53\x80\x67\xff", 1),
    "huge element.webm": lambda: ebml("1a45dfa3", b"") + ebml("18538067", ebml("1654ae6b", b"", 2**55)),
    "65535 channels.wav": lambda: wav(bytes(320_000), channels=65_535),
    "0 bits.wav": lambda: wav(bytes(32_000), bits=0),
    "65535 bits.wav": lambda: wav(bytes(32_000), bits=65_535),
    "all tags": lambda: riff(chunk(b"fmt ", struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 1, 1, 16)), DATA),
    **{
        f"coding {tag}.wav": lambda tag=tag: wav(bytes(32_000), tag=tag, bits=4)
        for tag in (0x02, 0x11, 0x31, 0x50, 0x55, 0x69, 0x161, 0x2000, 0x674F, 0xA106, 0xF1AC)
    },
    "data before its form.wav": lambda: riff(DATA, FMT),
    "no data.wav": lambda: riff(FMT),
    "two forms.wav": lambda: riff(FMT, chunk(b"fmt ", struct.pack("<HHIIHH", 3, 8, 1, 1, 1, 64)), DATA),
    "empty form.wav": lambda: riff(chunk(b"fmt "), DATA),
    "huge form.wav": lambda: riff(chunk(b"fmt ", bytes(16), HUGE), DATA),
    "negative size.wav": lambda: riff(FMT, chunk(b"LIST", bytes(8), 0x80000000), DATA),
    "nested lists.wav": lambda: riff(nested(lambda body: chunk(b"LIST", b"INFO" + body), 2000), FMT, DATA),
    "100000 chunks.wav": lambda: riff(chunk(b"junk") * 100_000, FMT, DATA),
    "a wav in a wav.wav": lambda: riff(FMT, chunk(b"data", good("WAV 16 bit"))),
    "2 MB of names.wav": lambda: riff(chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x" * 2_000_000)), FMT, DATA),
    "nan.wav": lambda: stereo_of(np.nan),
    "largest number.wav": lambda: stereo_of(np.finfo(np.float32).max),
    "smallest number.wav": lambda: stereo_of(1e-45),
    "2 MB of tag.mp3": lambda: id3(bytes(2_000_000)) + good("MP3"),
    "256 MB of tag claimed.mp3": lambda: id3(b"TIT2", 2**28 - 1) + good("MP3"),
    "500 tags.mp3": lambda: id3(b"") * 500 + good("MP3"),
    "tag within tag.mp3": lambda: id3(id3(good("MP3"))) + good("MP3"),
    "cover of 30000 pixels.mp3": lambda: with_cover(picture(30_000)),
    "cover of 4000 pixels.mp3": lambda: with_cover(picture(4_000)),
    "cover that is cut.mp3": lambda: with_cover(picture(30_000)[:100]),
    "four billion frames.mp3": lambda: patched(good("MP3"), b"Xing", 4, struct.pack(">I", HUGE)),
    "layer I.mp3": lambda: bytes([0xFF, 0xFF, 0x90, 0xC4]) + bytes(5000),
    "free rate.mp3": lambda: bytes([0xFF, 0xFB, 0x00, 0xC4]) + bytes(50_000),
    "picture of 30000 pixels.flac": lambda: with_flac_block(6, picture(30_000)),
    "picture that claims 16 MB.flac": lambda: with_flac_block(6, bytes(100), 2**24 - 1),
    "four billion comments.flac": lambda: with_flac_block(4, struct.pack("<II", 0, HUGE)),
    "comment of 4 GB.flac": lambda: with_flac_block(4, struct.pack("<I", HUGE)),
    "reserved block.flac": lambda: with_flac_block(127, bytes(10)),
    "seek table of nothing.flac": lambda: with_flac_block(3, b"\xff" * 18 * 1000),
    "10 MB of padding.flac": lambda: with_flac_block(1, bytes(10_000_000)),
    "an hour.flac": silent_hours,
    "255 channels.opus": lambda: patched(good("Ogg Opus"), b"OpusHead", 1, b"\xff"),
    "no channels.opus": lambda: patched(good("Ogg Opus"), b"OpusHead", 1, b"\0"),
    "all skipped.opus": lambda: patched(good("Ogg Opus"), b"OpusHead", 2, b"\xff\xff"),
    "128 dB.opus": lambda: patched(good("Ogg Opus"), b"OpusHead", 8, b"\xff\x7f"),
    "mapping 255.opus": lambda: patched(good("Ogg Opus"), b"OpusHead", 10, b"\xff"),
    "vorbis channels.ogg": lambda: patched(good("Ogg Vorbis"), b"\1vorbis", 4, b"\xff"),
    "vorbis of 4 GHz.ogg": lambda: patched(good("Ogg Vorbis"), b"\1vorbis", 5, b"\xff" * 4),
    "vorbis block of 32768.ogg": lambda: patched(good("Ogg Vorbis"), b"\1vorbis", 21, b"\xff"),
    "four billion comments.ogg": lambda: patched(good("Ogg Vorbis"), b"\3vorbis", 0, b"\xff" * 4),
    "position of -1.ogg": lambda: patched(good("Ogg Opus"), b"OggS", 2, b"\xff" * 8),
    "late position.ogg": lambda: patched(good("Ogg Vorbis"), b"\0\4", 0, b"\xff" * 7 + b"\x7f"),
    "a track that begins on the way.ogg": lambda: (
        patched(good("Ogg Vorbis"), b"\0\4", 0, b"\xff" * 8) + good("Ogg Opus")
    ),
    "two songs.ogg": lambda: good("Ogg Vorbis") + good("Ogg Opus"),
    "10000 empty pages.ogg": lambda: with_ogg_checksums((b"OggS" + bytes(23)) * 10_000),
    "0 Hz.m4a": lambda: patched(good("M4A"), b"mdhd", 12, bytes(4)),
    "4 GHz.m4a": lambda: patched(good("M4A"), b"mdhd", 12, b"\xff" * 4),
    "endless.m4a": lambda: patched(good("M4A"), b"mdhd", 16, b"\xff" * 4),
    "rate of 1.m4a": lambda: patched(good("M4A 16 bit lossless"), b"alac", 24, struct.pack(">I", 1 << 16)),
    "65535 channels.m4a": lambda: patched(good("M4A"), b"mp4a", 16, b"\xff\xff"),
    "four billion samples.m4a": lambda: patched(good("M4A"), b"stsz", 8, b"\xff" * 4),
    "sample of 4 GB.m4a": lambda: patched(good("M4A"), b"stsz", 4, b"\xff" * 4),
    "four billion runs.m4a": lambda: patched(good("M4A"), b"stts", 4, b"\xff" * 4),
    "all elsewhere.m4a": lambda: patched(good("M4A"), b"stco", 8, b"\xff" * 4),
    "eight channels.m4a": surround,
    "nested atoms.m4a": lambda: FTYP + nested(lambda body: atom(b"moov", body), 5000),
    "atom of size 1.m4a": lambda: FTYP + atom(b"moov", b"\xff" * 8, 1),
    "atom of size 0.m4a": lambda: FTYP + atom(b"moov", atom(b"trak", b"", 0), 0),
    "atom of size 7.m4a": lambda: FTYP + atom(b"moov", atom(b"trak", b"", 7)),
    "100000 atoms.m4a": lambda: FTYP + atom(b"free") * 100_000 + good("M4A"),
    "1000 tracks.m4a": lambda: FTYP + atom(b"moov", atom(b"trak", atom(b"mdia")) * 1000),
    "picture of 65535 pixels.mp4": lambda: patched(
        good("MP4 video with sound"), b"mp4v", 24, b"\xff\xff\xff\xff"
    ),
    "one in the other.flac": lambda: good("FLAC")[:42] + good("M4A"),
    "mp3 in a flac's tag": lambda: id3(good("MP3")) + good("FLAC"),
    "24 kHz twice": lambda: (
        with_soundfile(tone(), "MP3") + with_soundfile(tone(rate=24_000), "MP3", rate=24_000)
    ),
}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, content) in enumerate(corpus()):
        (folder / f"{number:04d} {name.replace('/', ' ')}").write_bytes(content)
