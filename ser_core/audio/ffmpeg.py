"""Recordings read by FFmpeg (PyAV): one sound track of a container that is named to it.

FFmpeg reads through our file object and may use the decoders of speech recordings alone. It guesses no format
and opens nothing else, be it a URL, a playlist or a file that another file names.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import av
import av.container
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from ser_core.audio import boxes, faults, transport
from ser_core.audio.formats import asf_is_cut, asf_length_s, avi_length_s, is_cut_mpeg_frame, mp3_length_s
from ser_core.audio.sizes import Payload, matroska_is_cut
from ser_core.audio.stored import Block, Part, Recording, block_frames
from ser_core.errors import AudioError

LOUDNESS_S = 60.0  # of each of several tracks, to tell which is the loudest
MAX_TRACKS = 16
SILENCE_POWER = 1e-9  # mean square; -90 dBFS
GAP_S = 0.1  # between packets, from which on some are missing
UNSIZED = ("aac", "amr", "mpegts")  # containers without a length; FFmpeg guesses one
HEAD_BYTES = 16_384  # in which an MP3, AVI or WMA tells its length, if it does

# FFmpeg's names of the decoders that recordings of speech need, and the only ones that it may use. It looks
# into every track to learn what it is: a cover picture of 50 kB in an MP3 took 400 MB.
CODECS = (
    *("aac", "aac_latm", "alac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "flac", "opus"),
    *(
        "libopus",
        "vorbis",
        "ac3",
        "eac3",
        "libopencore_amrnb",
        "libopencore_amrwb",
        "amrnb",
        "amrwb",
        "speex",
    ),
    *("speex", "gsm", "gsm_ms", "wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "adpcm_ms"),
    *(
        "adpcm_ima_wav",
        "adpcm_ima_qt",
        "adpcm_yamaha",
        "g722",
        "adpcm_g722",
        "g726",
        "g726le",
        "adpcm_g726",
        "adpcm_g726le",
    ),
    *("g723_1", "pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8"),
    *(f"pcm_{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")),
)
# FFmpeg's own decoders of AMR fail at pauses that a phone left out (DTX).
_BETTER = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}


@contextmanager
def with_av(file: Part, kind: str, warnings: list[str], size: Payload | None) -> Iterator[Recording]:
    """The recording in `file`, a container of this `kind`; `size` as its header declares it, where it does.

    Raises AudioError with code `corrupt`, `no_audio` or `unsupported_format`.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    cut = kind == "asf" and asf_is_cut(file, head)
    if kind == "mov":
        end, cut = boxes.whole_end(file)
        file = file.part(0, end)
    with ExitStack() as stack:
        container = stack.enter_context(_open(file, kind))
        number, count = 0, len(container.streams.audio)
        if not count:
            raise faults.corrupt() if cut else faults.no_audio()
        if count > 1:
            number = _best_track(container, file, kind)
            container = stack.enter_context(_open(file, kind))  # the other one may have been read
            warnings = [*warnings, faults.one_track(number, count)]
        track = container.streams.audio[number]
        _check_codec(track, cut)
        guess = faults.NO_END in warnings or _is_guess(kind, size)  # an Ogg without its end
        declared_s = None if guess else _length_s(container, track, kind, head, number)
        blocks = stack.enter_context(closing(_blocks(container, track, file, kind, warnings, cut)))
        present = size.share if size else 1.0
        yield Recording(track.rate, track.channels, declared_s, blocks, warnings, present)


def _open(file: Part, kind: str) -> av.container.InputContainer:
    file.seek(0)
    options = {"protocol_whitelist": "none", "codec_whitelist": ",".join(CODECS)}
    if kind == "wav":
        options["ignore_length"] = "1"  # `file` ends where the samples do
    try:
        return av.open(file, "r", format=kind, options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise faults.corrupt() from None


def _check_codec(track: av.AudioStream, cut: bool = False) -> None:
    """`cut`: the file ends too soon, perhaps where it names the codec."""
    if cut and (track.codec_context is None or not track.rate):
        raise faults.corrupt()
    if track.codec_context is None or track.codec_context.name not in CODECS:
        raise faults.unsupported("The sound in this file is coded in an unknown way")
    if not track.rate:
        raise faults.corrupt()


def _decoder(track: av.AudioStream) -> av.AudioCodecContext:
    """The decoder of a track: FFmpeg's choice, or a better one."""
    name = _BETTER.get(track.codec_context.name)
    if name is None:
        if track.codec_context.name == "flac":  # else it makes noise of a damaged frame
            track.codec_context.options = {"err_detect": "crccheck+explode"}
        return track.codec_context
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = track.rate, "mono"  # the codec knows no other
    return decoder


def _is_guess(kind: str, size: Payload | None) -> bool:
    """Whether FFmpeg's length of a recording is no more than a guess."""
    if kind == "wav":
        return size is None or size.declared is None or size.beyond > 0
    return kind in UNSIZED


def _length_s(
    container: av.container.InputContainer, track: av.AudioStream, kind: str, head: bytes, number: int
) -> float | None:
    """Length in seconds by the file's header; `number` of the sound track."""
    # FFmpeg counts what is there of these three, or guesses.
    if kind == "mp3":
        return mp3_length_s(head)
    if kind == "avi":
        return avi_length_s(head, number)
    if kind == "asf":
        return asf_length_s(head) if len(container.streams) == 1 else None  # of the longest stream
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    if parts := re.fullmatch(r"(\d+):(\d+):([\d.]+)\s*", track.metadata.get("DURATION", "")):  # Matroska
        return 3600 * int(parts[1]) + 60 * int(parts[2]) + float(parts[3])
    if container.duration and len(container.streams) == 1:  # of the longest stream, perhaps the pictures
        return container.duration / 1e6  # FFmpeg counts in µs
    return None


def _best_track(container: av.container.InputContainer, file: Part, kind: str) -> int:
    """The number of the track that is marked as the default; of the loudest if none is, or it is silent."""
    tracks = container.streams.audio[:MAX_TRACKS]
    power = []
    for number in range(len(tracks)):
        with _open(file, kind) as again:
            power.append(_power(again, again.streams.audio[number], file))
    marked = [number for number, track in enumerate(tracks) if track.disposition & Disposition.default]
    if len(marked) == 1 and power[marked[0]] > SILENCE_POWER:
        return marked[0]
    return int(np.argmax(power))


def _power(container: av.container.InputContainer, track: av.AudioStream, file: Part) -> float:
    """Mean square of the first `LOUDNESS_S` of a track; -1 where it cannot be read."""
    total, frames, seconds = 0.0, 0, 0.0
    try:
        _check_codec(track)
        for block in _blocks(container, track, file, "", [], False):
            samples = np.nan_to_num(block.samples.astype(np.float64))
            total, frames = total + float(np.square(samples).mean(axis=1).sum()), frames + len(samples)
            seconds += block.duration_s
            if seconds >= LOUDNESS_S:
                break
    except AudioError:
        return -1.0
    return total / frames if frames else -1.0


def _blocks(
    container: av.container.InputContainer,
    track: av.AudioStream,
    file: Part,
    kind: str,
    warnings: list[str],
    cut: bool,
) -> Generator[Block]:
    """Blocks of one audio track; video and subtitles are never decoded. `cut`: the file ends too soon.

    Packets that cannot be decoded are left out, as players do. Rate, channels and sample format may change on
    the way, where two MP3 files were joined.
    """
    parts: list[NDArray[Any]] = []
    held, read = 0, False
    bad, inside = 0, 0  # packets that could not be decoded: since the last good one, and before it
    first: int | None = None  # samples before the first frame of a FLAC, by its header
    decoded = 0  # samples since then
    gap = False  # whether FFmpeg left out some of a FLAC or WMA without a word
    due: int | None = None  # when a WMA's next packet has to begin
    form: tuple[int, int, str] | None = None  # channels, rate, sample format
    to_float: av.AudioResampler | None = None
    last: av.Packet[Any] | None = None
    decoder = _decoder(track)
    mpeg = decoder.name.startswith("mp")  # in any container; tags and padding may stand between its frames

    def joined() -> Block:
        assert form
        block = Block(np.concatenate(parts, dtype=np.float32), form[1])
        parts.clear()  # before the block is used, which takes memory too
        return block

    try:
        for packet in container.demux(track):
            last = packet if packet.size else last
            if kind == "asf" and packet.pts is not None:
                gap = gap or (due is not None and packet.pts > due)
                due = packet.pts + (packet.duration or 0) + round(GAP_S / packet.time_base)
            try:
                frames = decoder.decode(packet)
            except av.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                bad += 1
                continue
            for frame in frames:
                if kind == "flac" and frame.pts is not None:
                    first = frame.pts if first is None else first
                    gap = gap or frame.pts > first + decoded
                    decoded = frame.pts - first
                decoded += frame.samples
                if packet.size:  # not what the decoder still held
                    bad, inside = 0, inside + bad
                now = (frame.layout.nb_channels, frame.sample_rate, frame.format.name)
                if now != form:
                    if parts:
                        yield joined()
                        held, parts, read = 0, [], True
                    # Interleaved: PyAV takes a plane after the eighth for one that is none, and crashes.
                    form, to_float = now, av.AudioResampler(format="flt", layout=frame.layout, rate=now[1])
                assert to_float
                for part in to_float.resample(frame):
                    parts.append(part.to_ndarray().reshape(-1, now[0]))
                    held += part.samples
            if form and held * min(form[0], 2) >= block_frames(form[1]):  # several channels: half as long
                yield joined()
                held, parts, read = 0, [], True
    except (av.FFmpegError, ValueError, IndexError):  # IndexError: a track that begins on the way (Ogg)
        bad += 1
    if parts:
        yield joined()
        read = True
    if bad and not read:
        raise faults.corrupt()
    if inside > mpeg or gap:
        warnings.append(faults.DAMAGED)
    elif cut or (bad and not mpeg) or (last and _is_cut(last, track, file, kind)):
        warnings.append(faults.NO_END)


def _is_cut(last: "av.Packet[Any]", track: av.AudioStream, file: Part, kind: str) -> bool:
    """Whether a file ends inside something, by the last packet of a track."""
    if kind == "mp3":
        return is_cut_mpeg_frame(bytes(last))
    if kind == "matroska":
        return last.pos is not None and matroska_is_cut(file, last.pos)
    return kind == "mpegts" and transport.is_cut(file, track.id)
