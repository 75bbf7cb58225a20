"""Untrusted bytes opened as a recording: what the header says, and the samples as they are stored.

The content decides what a file is, never its name (`ser_core.audio.formats`). soundfile (libsndfile) reads
WAV, AIFF, AU, CAF, W64, FLAC, Ogg and Opus. FFmpeg (`ser_core.audio.ffmpeg`) reads the others, and what
libsndfile cannot: codecs that it lacks, headers that were never completed or are wrong, and the rest of a
file in which it fails. MP3 is FFmpeg's because libsndfile loses half of a variable-rate MP3 without a Xing
header and lets mpg123 write to stderr.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import islice, pairwise
from typing import BinaryIO

import soundfile

from ser_core.audio import amr, boxes, faults, formats, ogg, sizes
from ser_core.audio.ffmpeg import with_av
from ser_core.audio.sizes import Payload
from ser_core.audio.stored import Block, Part, Recording, block_frames
from ser_core.errors import AudioError

BEHIND_S = 0.1  # sound behind the declared end, or that is missing, that is worth a word
MAX_LINKS = 10_000  # of joined recordings

# Which libsndfile is asked to read first. It takes the floats of an extensible W64 for integers.
SOUNDFILE = ("wav", "rifx", "flac", "ogg", "aiff", "au", "caf")
SIZED = ("wav", "rifx", "aiff", "au", "caf", "w64")  # whose header says how many bytes of samples there are

# libsndfile's own numbers for headers that it refuses to open (sndfile/src/common.h, SFE_*).
_SFE_BAD_RATE, _SFE_TOO_MANY_CHANNELS = 24, 33
_FRAMES_UNKNOWN = 2**63 - 1  # libsndfile's SF_COUNT_MAX


def open_recording(file: BinaryIO) -> AbstractContextManager[Recording]:
    """The recording in `file`, whatever its format; its header is read, its samples are not yet.

    Raises:
        AudioError: here where nothing in the file can be played, or while the first block is read.
    """
    if not file.read(1):
        raise faults.empty()
    form = formats.detect(file)
    if form is None:
        raise faults.unsupported()
    part = Part(file, form.start, file.seek(0, os.SEEK_END))
    if form.kind == "ogg":
        found = ogg.links(part)
        warnings = [*([] if found.whole else [faults.NO_END]), *([faults.DAMAGED] if found.damaged else [])]
        if len(found.parts) == 1:
            return _open(found.parts[0], "ogg", warnings)
        return _chained(found.parts[:MAX_LINKS], "ogg", warnings)
    heads = boxes.heads(part) if form.kind == "mov" else formats.heads(part, form.kind)
    if len(heads) > 1:
        edges = pairwise([*heads, part.seek(0, os.SEEK_END)])
        return _chained([part.part(*each) for each in islice(edges, MAX_LINKS)], form.kind, [])
    return _open(part, form.kind, [])


def _open(file: Part, kind: str, warnings: list[str]) -> AbstractContextManager[Recording]:
    """The one recording in `file`, a container of one `kind`."""
    if kind == "amr":
        file, damaged = amr.frames(file)
        warnings = [*warnings, *([faults.DAMAGED] if damaged else [])]
    size = sizes.payload(file, kind) if kind in SIZED else None
    if size and kind != "wav" and size.declared != size.present and size.share == 1.0:
        file = file.part(0, size.start + size.present, sizes.true_size(kind, size))
    if size and size.header:
        at = size.start - len(size.header)
        file = file.part(at, file.seek(0, os.SEEK_END), (0, size.header))
        size = sizes.payload(file, kind)
    several = kind == "ogg" and ogg.is_multiplexed(file)
    file.seek(0)
    if kind in SOUNDFILE and not several:
        sound = _open_soundfile(file)
        beyond = sound is not None and _beyond(size, sound, kind)
        if beyond and kind != "wav":
            warnings = [*warnings, faults.WRONG_SIZE]
        # The header of an AIFF counts the frames in another place too.
        if sound and 0 < sound.frames < _FRAMES_UNKNOWN and not (beyond and kind in ("wav", "aiff")):
            return _with_soundfile(file, kind, sound, size, warnings)
        if sound:  # the length was never written, or is an earlier one: FFmpeg reads what is there
            sound.close()
        file.seek(0)
    if kind == "rifx":
        raise faults.unsupported("The sound in this file is coded in an unknown way")
    if kind == "wav" and size is None:
        raise faults.corrupt()  # FFmpeg makes room for a chunk as long as it says it is, before samples
    if size and kind == "wav":
        # As RIFF: FFmpeg is told to read to the end, and refuses an RF64 whose 64-bit size is absurd.
        # Without a size: behind the end that it names FFmpeg looks for chunks, through gigabytes of silence.
        end = size.start + size.present
        file = Part(file.part(0, end, (0, b"RIFF")), 0, end, (size.start - 4, bytes(4)))
    if size and size.beyond and kind in ("wav", "w64"):
        warnings = [*warnings, faults.WRONG_SIZE]
    return with_av(file, kind, warnings, size)


def _beyond(size: Payload | None, sound: soundfile.SoundFile, kind: str) -> bool:
    """Whether there is more sound than the header says, of which `sound` shows all but in a WAV."""
    if size is None or not size.beyond or not size.declared:
        return False
    shown = size.declared if kind == "wav" else size.present
    return bool(size.beyond / shown * sound.frames / sound.samplerate >= BEHIND_S)


def _open_soundfile(file: BinaryIO) -> soundfile.SoundFile | None:
    """`file` opened by libsndfile; None where it does not know the codec or finds the header damaged."""
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        if error.code == _SFE_BAD_RATE:
            raise faults.bad_sample_rate(0) from None
        if error.code == _SFE_TOO_MANY_CHANNELS:
            raise faults.too_many_channels() from None
        return None


@contextmanager
def _with_soundfile(
    file: Part, kind: str, sound: soundfile.SoundFile, size: Payload | None, warnings: list[str]
) -> Iterator[Recording]:
    def blocks() -> Iterator[Block]:
        frames = block_frames(sound.samplerate)
        read = 0
        while True:
            try:
                samples = sound.read(frames, dtype="float32", always_2d=True)  # (frame, channel)
            except (soundfile.LibsndfileError, ValueError):  # ValueError: it stands behind its own end
                yield from _rest(file, kind, read, sound, warnings)
                return
            if not len(samples):
                return
            read += len(samples)
            yield Block(samples, sound.samplerate)

    present = size.share if size else 1.0
    with sound:
        cut = faults.NO_END in warnings  # then the last page of an Ogg counts what is missing of it
        duration_s = None if cut else sound.frames / sound.samplerate
        yield Recording(sound.samplerate, sound.channels, duration_s, blocks(), warnings, present)


def _rest(
    file: Part, kind: str, frames: int, sound: soundfile.SoundFile, warnings: list[str]
) -> Iterator[Block]:
    """What FFmpeg reads behind the first `frames` of a file in which libsndfile failed."""
    try:
        with with_av(file, kind, warnings, None) as recording:
            skip_s = frames / sound.samplerate
            missing_s = sound.frames / sound.samplerate
            for block in recording.blocks:
                missing_s -= block.duration_s
                skip = min(round(skip_s * block.sample_rate), len(block.samples))
                skip_s -= skip / block.sample_rate
                if skip < len(block.samples):
                    yield Block(block.samples[skip:], block.sample_rate)
            if missing_s >= BEHIND_S and not recording.warnings:
                warnings.append(faults.NO_END)
    except AudioError:
        warnings.append(faults.DAMAGED)


@contextmanager
def _chained(links: list[Part], kind: str, warnings: list[str]) -> Iterator[Recording]:
    """Recordings of one `kind`, one behind the other, as one."""
    lost = 0

    def blocks() -> Generator[Block]:
        nonlocal lost
        for link in links:
            try:
                with _open(link, kind, []) as recording:
                    yield from recording.blocks
                    warnings.extend(one for one in recording.warnings if one not in warnings)
            except AudioError:
                lost += 1
        if lost == len(links):
            raise faults.corrupt()
        if lost and faults.DAMAGED not in warnings:
            warnings.append(faults.DAMAGED)

    for link in links:
        try:
            with _open(link, kind, []) as first:
                sample_rate, channels = first.sample_rate, first.channels
            break
        except AudioError:
            continue
    else:
        raise faults.corrupt()
    with closing(blocks()) as reading:
        yield Recording(sample_rate, channels, None, reading, warnings)
