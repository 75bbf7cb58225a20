"""What can be wrong with a stored recording, in words: errors where nothing can be read, warnings elsewhere.

A warning begins with the fault's name and a colon; the page looks its translation up by that name.
"""

from ser_core.errors import AudioError

FORMATS = "WAV, FLAC, MP3, Ogg, Opus, M4A, MP4 or WebM"

WRONG_SIZE = "Wrong size: the header declares less sound than there is. All of it was analysed."
DAMAGED = "Damaged: some of the recording could not be decoded and was left out. Copy or download it again."
NO_END = "No end: the file stops without its end mark, so the last words may be missing. Copy it again."
CANCELLED = (
    "Channels cancel: their mean is much weaker than each of them, as when one is inverted. "
    "The strongest channel was analysed."
)
# What the warnings here begin with; those of `ser_core.audio.quality` are about the sound itself.
NAMES = ("Wrong size", "Damaged", "No end", "Channels cancel", "Several tracks", "Cut off")
_ORDINALS = ("first", "second", "third")


def one_track(number: int, count: int) -> str:
    """Of `count` sound tracks the one with this `number`, from 0, was read."""
    name = _ORDINALS[number] if number < len(_ORDINALS) else f"{number + 1}th"
    return f"Several tracks: of {count} sound tracks the {name} was analysed."


def cut_off(read_s: float, declared_s: float) -> str:
    """The file ends before its header says."""
    return (
        f"Cut off: the file has {read_s:.1f} s of the {declared_s:.1f} s that it declares. "
        "Only these were analysed. Copy or download it again."
    )


def unsupported(what: str = "This is not a recording in a format that can be read here") -> AudioError:
    """Neither the container nor the codec is one that is read here."""
    return AudioError("unsupported_format", f"{what}. Save or export it as {FORMATS}.")


def empty() -> AudioError:
    """There is not a byte."""
    return AudioError("empty", "The file is empty (0 bytes). Record or copy it again.")


def no_audio() -> AudioError:
    """A video without a sound track."""
    return AudioError("no_audio", "This video has no sound. Choose a recording in which one speaks.")


def corrupt() -> AudioError:
    """Nothing in the file can be decoded."""
    return AudioError(
        "corrupt",
        "The file is damaged or incomplete: nothing in it can be played. Copy, download or export it again.",
    )


def truncated(seconds: float) -> AudioError:
    """The data end after `seconds`, too soon to analyse anything."""
    return AudioError(
        "truncated",
        f"Only the first {seconds:.1f} s can be read: the file was cut off or is damaged. "
        "Copy, download or export it again.",
    )


def bad_sample_rate(sample_rate: int) -> AudioError:
    """The header claims a rate in Hz at which no one speaks, or no one could hear."""
    return AudioError(
        "bad_sample_rate",
        f"The file claims {sample_rate} samples a second, which no recording of speech has. "
        "Its header is probably damaged: export it again, at 16000 or 48000 Hz.",
    )


def too_many_channels() -> AudioError:
    """The header claims more channels than a recording of speech has."""
    return AudioError(
        "too_many_channels",
        "The file claims more channels than can be read here. Export it as mono or stereo.",
    )
