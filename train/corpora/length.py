"""Lengths of recordings, from their headers where these are reliable."""

import io

import soundfile

from ser_core.audio import ogg, sizes
from ser_core.audio.decode import DecodeLimits, stream
from ser_core.audio.stored import Part
from ser_core.audio.waveform import SAMPLE_RATE

EXACT_LENGTH = ("WAV", "WAVEX", "FLAC", "OGG")  # formats whose length soundfile knows without decoding
FLOATING = ("FLOAT", "DOUBLE")  # subtypes with samples that may be NaN or infinite; they are read completely
BLOCK_FRAMES = 1 << 16  # that are read at once
LIMITS = DecodeLimits()
SHORTEST_S = LIMITS.min_duration_s


def duration_s(data: bytes, warnings: list[str]) -> float:
    """Length in seconds of the recording whose file holds `data`; what is missing is added to `warnings`.

    Of intact WAV and Ogg files, header and last sample are read; other files are decoded. FLAC is, as each of
    its frames has a checksum: damage in its middle shows in no header.
    Raises AudioError for a recording that cannot be read.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if _is_exact(sound, data) and sound.frames >= SHORTEST_S * sound.samplerate:
                if sound.format == "FLAC":
                    read = sum(map(len, sound.blocks(BLOCK_FRAMES, dtype="int16")))
                else:
                    read = sound.seek(sound.frames - 1) + len(sound.read(1))
                if read == sound.frames:
                    return float(sound.frames / sound.samplerate)
    except soundfile.LibsndfileError:
        pass  # the decoder below reads it, or raises the error to report
    return sum(map(len, stream(data, warnings=warnings))) / SAMPLE_RATE


def _is_exact(sound: soundfile.SoundFile, data: bytes) -> bool:
    """Whether the header has the exact length, and no property for which `decode` raises an error."""
    return (
        sound.format in EXACT_LENGTH
        and sound.subtype not in FLOATING
        and LIMITS.min_sample_rate <= sound.samplerate <= LIMITS.max_sample_rate
        and sound.channels <= LIMITS.max_channels
        and not _has_wrong_size(data)
    )


def _has_wrong_size(data: bytes) -> bool:
    """Whether a WAV declares another size than it has, or an Ogg file is cut off or has several parts."""
    if data[:4] == b"OggS":
        links = ogg.links(Part(io.BytesIO(data), 0, len(data)))
        return len(links.parts) > 1 or not links.whole or links.damaged
    if data[:4] != b"RIFF":
        return False
    size = sizes.payload(io.BytesIO(data), "wav")
    return size is not None and size.declared != size.present
