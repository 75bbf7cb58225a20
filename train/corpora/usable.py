"""Finds clips that cannot be trained on: unreadable, outside of their file, or with two labels at once."""

import math
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import LABELS
from ser_core.errors import AudioError
from train.corpora.clip import Clip, CorpusError
from train.corpora.length import SHORTEST_S, duration_s

MAX_SHOWN = 10  # problems that are named in one message
TOLERANCE_S = 0.1  # by which times may exceed their file or each other: they are rounded, and MP3 pads
MAX_REMEMBERED = 1 << 20  # recordings whose lengths are kept, for the next fold


@dataclass(frozen=True)
class Length:
    """Length of a recording in seconds, or why it cannot be read; what is missing of it."""

    seconds: float = 0.0
    problem: str = ""
    missing: str = ""


def check_clips(clips: Iterable[Clip]) -> None:
    """Raises CorpusError, which names the first MAX_SHOWN clips that cannot be trained on and their number.

    As quick as `python -m train corpora`: of WAV and Ogg, headers and last samples are read.
    """
    every = list(dict.fromkeys(clips))
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(problem_of, every))
    problems = [f"{clip.path}: {problem}" for clip, problem in zip(every, found, strict=True) if problem]
    problems += clashes(every)[0]
    if problems:
        raise CorpusError(
            f"{listed(problems)} `python -m train corpora` lists every clip that cannot be used."
        )


def problem_of(clip: Clip) -> str:
    """Why `clip` cannot be trained on, and what to do; empty if it can."""
    if clip.emotion not in LABELS:
        return f"no emotion is called {clip.emotion!r}; known: {', '.join(LABELS)}"
    length = length_of(clip.path)
    return length.problem or (stretch_problem(clip, length.seconds) if clip.stretch_s else "")


def stretch_problem(clip: Clip, seconds: float) -> str:
    """What is wrong with the stretch of `clip`, whose file lasts `seconds`; empty if nothing is."""
    assert clip.stretch_s
    start, end = clip.stretch_s
    if start >= seconds:
        return f"start {start:g} s is behind the end of the recording ({seconds:.2f} s): correct the row."
    if end > seconds + TOLERANCE_S:
        return f"end {end:g} s is behind the end of the recording ({seconds:.2f} s): correct the row."
    samples = [round(edge * SAMPLE_RATE) for edge in (start, min(end, seconds))]  # as they are cut
    if samples[1] - samples[0] < SHORTEST_S * SAMPLE_RATE:
        return f"the stretch {start:g} to {end:g} s holds less than {SHORTEST_S:g} s: correct the row."
    return ""


def length_of(path: Path) -> Length:
    """The length of the recording `path`; read again only where the file has changed."""
    try:
        status = path.stat()
    except OSError as error:
        return Length(problem=f"{error.strerror}: check the file and its permissions.")
    return _length(path, status.st_size, status.st_mtime_ns)


@lru_cache(MAX_REMEMBERED)
def _length(path: Path, size: int, modified_ns: int) -> Length:
    missing: list[str] = []
    try:
        return Length(duration_s(path.read_bytes(), missing), missing=" ".join(missing))
    except AudioError as error:
        return Length(problem=f"{error.code}: {error.message}")
    except OSError as error:
        return Length(problem=f"{error.strerror}: check the file's permissions")


def clashes(clips: Iterable[Clip]) -> tuple[list[str], list[str]]:
    """Where two clips are the same sound: what cannot be trained on, and what a person should look at.

    Two labels for one stretch cannot both be right, nor two for overlapping stretches of one speaker. Those
    of several speakers may overlap, as people talk at the same time. Each clip is named once.
    """
    by_file: dict[str, list[tuple[float, float, Clip]]] = {}
    for clip in clips:
        start, end = clip.stretch_s or (0.0, math.inf)
        by_file.setdefault(os.path.realpath(clip.path), []).append((start, end, clip))
    problems, remarks = [], []
    for stretches in by_file.values():
        stretches.sort(key=lambda stretch: stretch[:2])
        open_: list[tuple[float, float, Clip]] = []  # earlier stretches that may reach into the next ones
        for start, end, clip in stretches:
            problem, remark = "", ""
            open_ = [other for other in open_ if other[0] == start or other[1] - start > TOLERANCE_S]
            for earlier_start, earlier_end, earlier in open_:
                same = (start, end) == (earlier_start, earlier_end)
                if not same and min(end, earlier_end) - start <= TOLERANCE_S:
                    continue
                if clip.emotion == earlier.emotion:
                    if same:
                        remark = f"{clip.path}: {_words(clip)} is listed twice: remove a row"
                elif same or clip.speaker == earlier.speaker:
                    problem = f"{_both(clip, earlier)}: keep one label."
                    break
                else:
                    remark = f"{_both(clip, earlier)}, of two speakers: check the times"
            open_.append((start, end, clip))
            problems += [problem] * bool(problem)
            remarks += [remark] * bool(remark)
    return problems, remarks


def _both(clip: Clip, earlier: Clip) -> str:
    return f"{clip.path}: {_words(earlier)} is {earlier.emotion} and {_words(clip)} is {clip.emotion}"


def _words(clip: Clip) -> str:
    return f"{clip.stretch_s[0]:g} to {clip.stretch_s[1]:g} s" if clip.stretch_s else "the whole file"


def similar_speakers(clips: Iterable[Clip]) -> list[str]:
    """Speakers that are probably one: their names differ in case, separators or leading zeros alone."""
    names: dict[str, list[str]] = {}
    for speaker in dict.fromkeys(clip.speaker for clip in clips):
        plain = re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", speaker).casefold())
        names.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", plain), []).append(speaker.partition("/")[2])
    return [
        f"{' and '.join(alike)} count as {len(alike)} speakers: if they are one, give them the same name"
        for alike in names.values()
        if len(alike) > 1
    ]


def listed(problems: Sequence[str]) -> str:
    """The first MAX_SHOWN of `problems`, a line each, and how many there are."""
    lines = list(problems[:MAX_SHOWN])
    if len(problems) > 1:
        more = len(problems) - MAX_SHOWN
        lines.append(f"{len(problems)} in all{f', {more} of them not shown' if more > 0 else ''}.")
    return "\n  ".join(lines)
