"""Splits into training, validation and test part, by speaker or by file, and a check for leaks."""

import hashlib
import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePath

import numpy as np

from train.corpora import STRETCH, Clip, CorpusError
from train.corpora.table import rows_of

log = logging.getLogger(__name__)
# Test and validation actors of each RAVDESS fold (DESIGN.md, section 6).
RAVDESS_TEST = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
RAVDESS_VALIDATION = ((3, 6), (10, 11), (8, 17), (1, 14), (2, 5))
MIN_SPEAKERS = 6  # corpora with fewer have no validation speakers when another corpus is left out
VALIDATION_SHARE = 0.1  # of the speakers, or recordings, outside the test part
TEST_SHARE = 0.1  # of the recordings, in a split by file
PARTS = ("train", "validation", "test")


class SplitError(Exception):
    """A split that is not possible; the message says what is missing and what to do."""


class LeakError(Exception):
    """A split whose parts share a speaker or a recording."""


@dataclass(frozen=True)
class Split:
    """The clips of the training, validation and test part.

    No recording is in two parts. No speaker is either, unless the split is `speaker_dependent`.
    """

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    speaker_dependent: bool = False


def ravdess_fold(clips: Sequence[Clip], fold: int) -> Split:
    """Fold 0–4 by actor; clips of other corpora all go to the training part."""
    test = {f"ravdess/{actor:02d}" for actor in RAVDESS_TEST[fold]}
    validation = {f"ravdess/{actor:02d}" for actor in RAVDESS_VALIDATION[fold]}
    return _by_speaker(f"ravdess_fold{fold}", clips, validation, test)


def speaker_kfold(clips: Sequence[Clip], folds: int, seed: int) -> list[Split]:
    """Splits in which each speaker is tested once; the numbers of speakers per fold differ by one at most.

    A tenth of the other speakers are the validation part. `seed` draws folds and validation speakers. Raises
    SplitError for too few speakers.
    """
    speakers = _speakers(clips)
    if not 2 <= folds <= len(speakers) or len(speakers) - math.ceil(len(speakers) / folds) < 2:
        raise SplitError(
            f"{folds} folds by speaker need that many speakers, at least two folds, and two speakers beside "
            f"those that are tested; there are {_speaker_list(speakers)}: change the number of folds, add a "
            "corpus, or name the speakers in a CSV"
        )
    rng = np.random.default_rng(seed)
    test_speakers = _speaker_folds(clips, folds, rng)
    return [
        _with_validation(f"speaker_fold{i}of{folds}", clips, test, rng)
        for i, test in enumerate(test_speakers)
    ]


def leave_speaker_out(clips: Sequence[Clip], seed: int) -> list[Split]:
    """A split for each speaker as the test part; a tenth of the others, drawn by `seed`, is validation.

    Raises SplitError for fewer than three speakers.
    """
    speakers = sorted(_speakers(clips))
    names = [re.sub(r"[^\w.-]+", "_", f"without_speaker_{speaker}") for speaker in speakers]
    if len(speakers) < 3 or len(set(names)) < len(names):
        raise SplitError(
            "leaving one speaker out needs three speakers whose names differ in letters or digits; there are "
            f"{_speaker_list(speakers)}: add a corpus, or name the speakers in a CSV"
        )
    rng = np.random.default_rng(seed)
    return [
        _with_validation(name, clips, {speaker}, rng) for name, speaker in zip(names, speakers, strict=True)
    ]


def leave_corpus_out(clips: Sequence[Clip], corpus: str) -> Split:
    """Tests on all of `corpus`; the first and last speaker of each other corpus are the validation part."""
    test = {clip.speaker for clip in clips if clip.corpus == corpus}
    return _by_speaker(f"without_{corpus}", clips, _validation_speakers(clips, corpus), test)


def random_by_file(clips: Sequence[Clip], seed: int) -> Split:
    """Tests on a tenth of the recordings and validates on a tenth of the rest, regardless of speaker.

    Speaker-dependent, so results are too good; for comparison with speaker-independent ones. Identical
    recordings stay in one part. `seed` draws the parts.
    """
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(_digest(clip), []).append(clip)
    order = list(groups.values())
    shuffled = [order[i] for i in np.random.default_rng(seed).permutation(len(order))]
    n_test = max(1, round(TEST_SHARE * len(shuffled)))
    n_held_out = n_test + max(1, round(VALIDATION_SHARE * (len(shuffled) - n_test)))

    def part(groups: list[list[Clip]]) -> tuple[Clip, ...]:
        return tuple(clip for group in groups for clip in group)

    test, validation, train = shuffled[:n_test], shuffled[n_test:n_held_out], shuffled[n_held_out:]
    return Split("random_by_file", part(train), part(validation), part(test), speaker_dependent=True)


def from_file(clips: Sequence[Clip], table: Path, speaker_dependent: bool = False) -> Split:
    """The split that the CSV `table` lists, with the columns part and file, like the `split.csv` of a run.

    `file` is a clip's path relative to the data folder, or the end of its path. The optional columns corpus
    and speaker distinguish clips of the same name. Clips that are not listed are left out. Raises SplitError
    for an unreadable table, an unknown part, and a row that matches no clip or several.
    """
    by_name: dict[str, list[Clip]] = {}
    for clip in clips:
        by_name.setdefault(clip.path.name, []).append(clip)
    parts: dict[str, list[Clip]] = {part: [] for part in PARTS}
    try:
        for line, row in rows_of(table, ("part", "file")):
            where = f"{table}, line {line}"
            part = row["part"]
            if part not in parts:
                raise SplitError(f"{where}: part is {', '.join(PARTS)}, not {part!r}")
            parts[part].append(_clip_of(row, by_name, where))
    except CorpusError as error:
        raise SplitError(str(error)) from None
    except OSError as error:
        raise SplitError(f"{table} cannot be read: {error}") from None
    train, validation, test = (tuple(parts[part]) for part in PARTS)
    return Split(table.stem, train, validation, test, speaker_dependent)


def everyone(clips: Sequence[Clip]) -> Split:
    """All clips as the training part; there are no test clips, so there are no results."""
    return Split("everyone", tuple(clips), (), ())


def check_leaks(split: Split) -> None:
    """Raises LeakError where two parts share a speaker, a file or the bytes of a file.

    Parts of a speaker-dependent split may share speakers; a warning is logged. Raises SplitError for an empty
    training part, and for an empty validation part of a split with a test part.
    """
    if not split.train or (split.test and not split.validation):
        empty = "choose the epoch" if split.train else "train on"
        raise SplitError(f"{split.name}: nobody is left to {empty}: add speakers or a corpus")
    if split.speaker_dependent:
        log.warning("%s is speaker-dependent: voices that are tested are also trained on", split.name)
    for what, keys_of in (("speaker", _speakers_of), ("recording", _digests_of)):
        if what == "speaker" and split.speaker_dependent:
            continue
        parts = {part: keys_of(getattr(split, part)) for part in PARTS}
        for first, second in combinations(PARTS, 2):
            shared = sorted(parts[first].keys() & parts[second].keys())
            if shared:
                one, other = parts[first][shared[0]], parts[second][shared[0]]
                also = "" if one == other else f" (a copy is {other}: remove one)"
                raise LeakError(f"{split.name}: {first} and {second} share the {what} {one}{also}")


def _by_speaker(name: str, clips: Sequence[Clip], validation: set[str], test: set[str]) -> Split:
    held_out = validation | test
    split = Split(
        name,
        tuple(clip for clip in clips if clip.speaker not in held_out),
        tuple(clip for clip in clips if clip.speaker in validation),
        tuple(clip for clip in clips if clip.speaker in test),
    )
    if not split.test:
        corpora = ", ".join(sorted({clip.corpus for clip in clips}))
        example = f", such as {min(test)}," if test else ""
        raise SplitError(f"{name}: no speaker to test{example} is in the recipe's corpora ({corpora})")
    return split


def _with_validation(name: str, clips: Sequence[Clip], test: set[str], rng: np.random.Generator) -> Split:
    """Tests the speakers `test`; a share of the others, drawn from `rng`, is the validation part."""
    others = sorted(_speakers(clips) - test)
    count = max(1, round(VALIDATION_SHARE * len(others)))
    validation = {others[i] for i in rng.permutation(len(others))[:count]}
    return _by_speaker(name, clips, validation, test)


def _speaker_folds(clips: Sequence[Clip], folds: int, rng: np.random.Generator) -> list[set[str]]:
    """The speakers of each fold; numbers of speakers differ by one at most, also within each corpus.

    Among folds with equal numbers, a speaker goes to the one with the fewest clips.
    """
    fold_speakers: list[list[str]] = [[] for _ in range(folds)]
    counts = Counter(clip.speaker for clip in clips)
    clip_counts = [0] * folds
    for corpus in sorted({clip.corpus for clip in clips}):
        speakers = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        shuffled = [speakers[i] for i in rng.permutation(len(speakers))]
        corpus_counts = [0] * folds
        for speaker in sorted(shuffled, key=lambda speaker: -counts[speaker]):
            fold = min(range(folds), key=lambda i: (corpus_counts[i], len(fold_speakers[i]), clip_counts[i]))
            fold_speakers[fold].append(speaker)
            corpus_counts[fold] += 1
            clip_counts[fold] += counts[speaker]
    return [set(speakers) for speakers in fold_speakers]


def _validation_speakers(clips: Sequence[Clip], without: str) -> set[str]:
    chosen: set[str] = set()
    for corpus in {clip.corpus for clip in clips} - {without}:
        speakers = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        if len(speakers) >= MIN_SPEAKERS:
            chosen |= {speakers[0], speakers[-1]}
    return chosen


def _clip_of(row: dict[str, str | None], by_name: dict[str, list[Clip]], where: str) -> Clip:
    """The clip of a row of a split file; SplitError, which begins with `where`, for none or several."""
    name = row["file"] or ""
    path = PurePath(name.rpartition(STRETCH)[0] or name)
    candidates = [
        clip
        for clip in by_name.get(path.name, [])
        if clip.path.parts[-len(path.parts) :] == path.parts
        and row.get("corpus") in (None, "", clip.corpus)
        and row.get("speaker") in (None, "", clip.speaker)
    ]
    candidates = [clip for clip in candidates if clip.file == row["file"]] or candidates
    if len(candidates) != 1:
        problem = (
            "is no clip of the recipe's corpora"
            if not candidates
            else f"means {len(candidates)} clips: give more of its path"
        )
        raise SplitError(f"{where}: {path} {problem}")
    return candidates[0]


def _speaker_list(speakers: Iterable[str]) -> str:
    names = sorted(speakers)
    return f"{len(names)} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"


def _speakers(clips: Sequence[Clip]) -> set[str]:
    return {clip.speaker for clip in clips}


def _speakers_of(clips: Sequence[Clip]) -> dict[str, str]:
    return {clip.speaker: clip.speaker for clip in clips}


def _digests_of(clips: Sequence[Clip]) -> dict[str, str]:
    return {_digest(clip): str(clip.path) for clip in clips}


def _digest(clip: Clip) -> str:
    try:
        return hashlib.sha256(clip.path.read_bytes()).hexdigest()
    except OSError as error:
        raise CorpusError(f"{clip.path}: {error.strerror}: check the file and its permissions") from None
