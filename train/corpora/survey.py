"""Content of a corpus: hours, classes, duplicate recordings, and recordings that cannot be read."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from ser_core.audio.decode import DecodeLimits, stream
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import LABELS
from ser_core.errors import AudioError
from train.corpora.clip import Clip
from train.corpora.reading import Reading

EXACT_LENGTH = ("WAV", "WAVEX", "FLAC", "OGG")  # formats whose length soundfile knows without decoding
SHORTEST_S = DecodeLimits().min_duration_s
S_PER_HOUR = 3600
MAX_SHOWN = 10  # groups of duplicates that are named


@dataclass(frozen=True)
class Survey:
    """The result of opening every recording of one corpus."""

    reading: Reading
    hours: float  # of the recordings that can be read
    contents: dict[Path, str]  # SHA-256 of each recording
    unreadable: dict[Path, str]  # reason, and what to do

    @property
    def speakers(self) -> int:
        """The number of speakers; unknown ones count as one."""
        return len({clip.speaker for clip in self.reading.clips})

    @property
    def classes(self) -> dict[str, int]:
        """Clips of each emotion that occurs, in the order of LABELS."""
        emotions = [clip.emotion for clip in self.reading.clips]
        return {label: emotions.count(label) for label in LABELS if label in emotions}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Problems to check before training."""
        warning = f"only one speaker ({self.reading.clips[0].speaker}): train it together with other corpora"
        return (*self.reading.warnings, *([warning] if self.speakers == 1 else []))


def inspect(
    reading: Reading, progress: Callable[[Sequence[Clip]], Iterable[Clip]] = lambda clips: clips
) -> Survey:
    """Opens every recording of `reading`; `progress` wraps the clips to show progress."""
    seconds = 0.0
    contents, unreadable = {}, {}
    for clip in progress(reading.clips):
        try:
            data = clip.path.read_bytes()
            contents[clip.path] = hashlib.sha256(data).hexdigest()
            length = duration_s(data)
            seconds += length if clip.stretch_s is None else clip.stretch_s[1] - clip.stretch_s[0]
        except AudioError as error:
            unreadable[clip.path] = f"{error.code}: {error.message}"
        except OSError as error:
            unreadable[clip.path] = f"{error.strerror}: check the file's permissions"
    return Survey(reading, seconds / S_PER_HOUR, contents, unreadable)


def describe(survey: Survey) -> str:
    """The report on one corpus, as text."""
    reading = survey.reading
    languages = ", ".join(sorted({clip.language for clip in reading.clips if clip.language}))
    lines = [
        f"{reading.corpus}: {len(reading.clips)} clips, {survey.speakers} speakers, {survey.hours:.2f} h, "
        f"{languages or 'language unknown'}, read by {reading.how}",
        ", ".join(f"{label} {count}" for label, count in survey.classes.items()),
        *(f"left out: {count} clips, {name}" for name, count in reading.left_out.items()),
        *describe_duplicates(duplicates(survey.contents)),
        *(f"unreadable: {path}: {reason}" for path, reason in survey.unreadable.items()),
        *(f"warning: {warning}" for warning in survey.warnings),
    ]
    return "\n  ".join(lines)


def describe_duplicates(groups: Sequence[tuple[Path, ...]]) -> list[str]:
    """A line for each of the first MAX_SHOWN groups, and the number of further ones."""
    lines = [f"duplicates: {' = '.join(map(str, group))}" for group in groups[:MAX_SHOWN]]
    more = len(groups) - MAX_SHOWN
    return [*lines, f"duplicates: {more} more groups"] if more > 0 else lines


def duplicates_across(surveys: Sequence[Survey]) -> list[tuple[Path, ...]]:
    """Groups of recordings with the same bytes that are in more than one corpus."""
    corpus_of = {path: survey.reading.corpus for survey in surveys for path in survey.contents}
    groups = duplicates({path: digest for survey in surveys for path, digest in survey.contents.items()})
    return [group for group in groups if len({corpus_of[path] for path in group}) > 1]


def duplicates(contents: Mapping[Path, str]) -> list[tuple[Path, ...]]:
    """Groups of recordings with the same bytes."""
    groups: dict[str, list[Path]] = {}
    for path, digest in contents.items():
        groups.setdefault(digest, []).append(path)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def duration_s(data: bytes) -> float:
    """Length in seconds of the recording whose file holds `data`.

    Of intact WAV, FLAC and Ogg files, header and last sample are read; other files are decoded.
    Raises AudioError for a recording that cannot be read.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if sound.format in EXACT_LENGTH and sound.frames >= SHORTEST_S * sound.samplerate:
                sound.seek(sound.frames - 1)
                if len(sound.read(1)):
                    return float(sound.frames / sound.samplerate)
    except soundfile.LibsndfileError:
        pass  # the decoder below reads it, or raises the error to report
    return sum(map(len, stream(data))) / SAMPLE_RATE
