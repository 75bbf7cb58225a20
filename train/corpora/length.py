"""How long recordings are, read from their headers where that can be trusted."""

import io

import soundfile

from ser_core.audio import sizes
from ser_core.audio.decode import DecodeLimits, stream
from ser_core.audio.waveform import SAMPLE_RATE

EXACT_LENGTH = ("WAV", "WAVEX", "FLAC", "OGG")  # formats whose length soundfile knows without decoding
FLOATING = ("FLOAT", "DOUBLE")  # samples that may be NaN or infinite, which only reading them all tells
LIMITS = DecodeLimits()
SHORTEST_S = LIMITS.min_duration_s


def duration_s(data: bytes, warnings: list[str]) -> float:
    """Length in seconds of the recording whose file holds `data`; what is missing is added to `warnings`.

    Its header and its last sample are read, which is quick; all but sound WAV, FLAC and Ogg is decoded.
    Raises AudioError for a recording that cannot be read.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if _is_exact(sound, data) and sound.frames >= SHORTEST_S * sound.samplerate:
                sound.seek(sound.frames - 1)
                if len(sound.read(1)):
                    return float(sound.frames / sound.samplerate)
    except soundfile.LibsndfileError:
        pass  # the decoder says why, or reads it after all
    return sum(map(len, stream(data, warnings=warnings))) / SAMPLE_RATE


def _is_exact(sound: soundfile.SoundFile, data: bytes) -> bool:
    """Whether the header tells the length of what `decode` reads, and nothing in it makes that fail."""
    return (
        sound.format in EXACT_LENGTH
        and sound.subtype not in FLOATING
        and LIMITS.min_sample_rate <= sound.samplerate <= LIMITS.max_sample_rate
        and sound.channels <= LIMITS.max_channels
        and not _has_wrong_size(data)
    )


def _has_wrong_size(data: bytes) -> bool:
    """Whether a WAV declares another size than it has."""
    if data[:4] != b"RIFF":
        return False
    size = sizes.payload(io.BytesIO(data), "wav")
    return size is not None and size.declared != size.present
