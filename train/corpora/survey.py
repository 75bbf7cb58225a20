"""Content of a corpus: hours, classes, duplicate recordings, and recordings that cannot be read."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ser_core.emotions import LABELS
from train.corpora.clip import Clip
from train.corpora.reading import Reading
from train.corpora.usable import clashes, length_of, stretch_problem

S_PER_HOUR = 3600
MAX_SHOWN = 10  # groups of duplicates that are named


@dataclass(frozen=True)
class Survey:
    """The result of opening every recording of one corpus."""

    reading: Reading
    hours: float  # of the recordings that can be read
    contents: dict[Path, str]  # SHA-256 of each recording
    unreadable: dict[Path, str]  # reason, and what to do
    in_part: dict[Path, str]  # the missing part of a recording that is read in part
    unusable: tuple[str, ...]  # clips that training would refuse: path, reason, what to do

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
    contents, unreadable, in_part = {}, {}, {}
    unusable = []
    for clip in progress(reading.clips):
        length = length_of(clip.path)
        with suppress(OSError):  # `length` says so
            contents[clip.path] = hashlib.sha256(clip.path.read_bytes()).hexdigest()
        if length.problem:
            unreadable[clip.path] = length.problem
            continue
        if length.missing:
            in_part[clip.path] = length.missing
        start, end = clip.stretch_s or (0.0, length.seconds)
        seconds += max(0.0, min(end, length.seconds) - start)
        if clip.stretch_s and (problem := stretch_problem(clip, length.seconds)):
            unusable.append(f"{clip.path}: {problem}")
    unusable += clashes(reading.clips)[0]
    return Survey(reading, seconds / S_PER_HOUR, contents, unreadable, in_part, tuple(unusable))


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
        *(f"unusable: {problem}" for problem in survey.unusable),
        *(f"in part: {path}: {warning}" for path, warning in survey.in_part.items()),
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
