"""Who is trained on, who chooses the epoch, who is tested: split by speaker, checked for leaks."""

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
# Test actors of each RAVDESS fold, and the validation actors that choose its epoch (DESIGN.md, section 6).
RAVDESS_TEST = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
RAVDESS_VALIDATION = ((3, 6), (10, 11), (8, 17), (1, 14), (2, 5))
MIN_SPEAKERS = 6  # a corpus with fewer gives none to validation when another one is left out
VALIDATION_SHARE = 0.1  # of the speakers, or the recordings, that are not tested
TEST_SHARE = 0.1  # of the recordings of a split by file
PARTS = ("train", "validation", "test")


class SplitError(Exception):
    """A split that cannot be made; the message says what is missing and what to do."""


class LeakError(Exception):
    """A split whose parts share a speaker or a recording."""


@dataclass(frozen=True)
class Split:
    """Clips to fit on, to choose the epoch by, and to report on.

    No speaker is in two of them, unless it is `speaker_dependent`; no recording ever is.
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
    """Each speaker is tested once; the folds have equal numbers of speakers, give or take one.

    A tenth of the other speakers, drawn by `seed` as the folds are, chooses the epoch.
    """
    speakers = _speakers(clips)
    if not 2 <= folds <= len(speakers) or len(speakers) - math.ceil(len(speakers) / folds) < 2:
        raise SplitError(
            f"{folds} folds by speaker need that many speakers, at least two folds, and two speakers beside "
            f"those that are tested; there are {_named(speakers)}: change the number of folds, add a corpus, "
            "or name the speakers in a CSV"
        )
    rng = np.random.default_rng(seed)
    tested = _spread(clips, folds, rng)
    return [_tested(f"speaker_fold{i}of{folds}", clips, test, rng) for i, test in enumerate(tested)]


def leave_speaker_out(clips: Sequence[Clip], seed: int) -> list[Split]:
    """Each speaker is tested alone; a tenth of the others, drawn by `seed`, chooses the epoch."""
    speakers = sorted(_speakers(clips))
    names = [re.sub(r"[^\w.-]+", "_", f"without_speaker_{speaker}") for speaker in speakers]
    if len(speakers) < 3 or len(set(names)) < len(names):
        raise SplitError(
            "leaving one speaker out needs three speakers whose names differ in letters or digits; there are "
            f"{_named(speakers)}: add a corpus, or name the speakers in a CSV"
        )
    rng = np.random.default_rng(seed)
    return [_tested(name, clips, {speaker}, rng) for name, speaker in zip(names, speakers, strict=True)]


def leave_corpus_out(clips: Sequence[Clip], corpus: str) -> Split:
    """All of `corpus` is the test; of each other corpus the first and last speaker choose the epoch."""
    test = {clip.speaker for clip in clips if clip.corpus == corpus}
    return _by_speaker(f"without_{corpus}", clips, _validation_speakers(clips, corpus), test)


def random_by_file(clips: Sequence[Clip], seed: int) -> Split:
    """A tenth of the recordings is the test and a tenth of the rest chooses the epoch, whoever speaks.

    Speaker-dependent: it flatters, and is here to be shown beside the honest numbers. Copies of a recording
    stay together.
    """
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(_digest(clip), []).append(clip)
    order = list(groups.values())
    drawn = [order[i] for i in np.random.default_rng(seed).permutation(len(order))]
    tested = max(1, round(TEST_SHARE * len(drawn)))
    validated = tested + max(1, round(VALIDATION_SHARE * (len(drawn) - tested)))

    def part(groups: list[list[Clip]]) -> tuple[Clip, ...]:
        return tuple(clip for group in groups for clip in group)

    test, validation, train = drawn[:tested], drawn[tested:validated], drawn[validated:]
    return Split("random_by_file", part(train), part(validation), part(test), speaker_dependent=True)


def from_file(clips: Sequence[Clip], table: Path, speaker_dependent: bool = False) -> Split:
    """The split that the CSV `table` fixes: columns part and file, as the `split.csv` of a run has them.

    `file` is a clip's path from the data folder, or the end of its path; the columns corpus and speaker, if
    it has them, tell clips of the same name apart. Clips that it does not list are left out.
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
            parts[part].append(_clip_of({**row}, by_name, where))
    except CorpusError as error:
        raise SplitError(str(error)) from None
    except OSError as error:
        raise SplitError(f"{table} cannot be read: {error}") from None
    train, validation, test = (tuple(parts[part]) for part in PARTS)
    return Split(table.stem, train, validation, test, speaker_dependent)


def everyone(clips: Sequence[Clip]) -> Split:
    """All clips to fit on; nothing is left to test, so nothing may be reported."""
    return Split("everyone", tuple(clips), (), ())


def check_leaks(split: Split) -> None:
    """Raises LeakError where two parts share a speaker, a file or the bytes of a file.

    Speakers of a speaker-dependent split may be shared; that is said aloud. Raises SplitError where the part
    to train on is empty, or the one that should choose the epoch of a tested run.
    """
    if not split.train or (split.test and not split.validation):
        empty = "choose the epoch" if split.train else "train on"
        raise SplitError(f"{split.name}: nobody is left to {empty}: add speakers or a corpus")
    if split.speaker_dependent:
        log.warning("%s is speaker-dependent: voices that are tested are also trained on", split.name)
    for what, of in (("speaker", _by_voice), ("recording", _by_content)):
        if what == "speaker" and split.speaker_dependent:
            continue
        parts = {part: of(getattr(split, part)) for part in PARTS}
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


def _tested(name: str, clips: Sequence[Clip], test: set[str], rng: np.random.Generator) -> Split:
    """Tests the speakers `test`; a share of the others, drawn from `rng`, chooses the epoch."""
    others = sorted(_speakers(clips) - test)
    count = max(1, round(VALIDATION_SHARE * len(others)))
    validation = {others[i] for i in rng.permutation(len(others))[:count]}
    return _by_speaker(name, clips, validation, test)


def _spread(clips: Sequence[Clip], folds: int, rng: np.random.Generator) -> list[set[str]]:
    """The speakers of each fold: as many as in any other, give or take one, also of each corpus alone.

    Among folds that are equal in this, a speaker goes where the fewest clips are.
    """
    held: list[list[str]] = [[] for _ in range(folds)]
    counts = Counter(clip.speaker for clip in clips)
    loads = [0] * folds
    for corpus in sorted({clip.corpus for clip in clips}):
        own = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        shuffled = [own[i] for i in rng.permutation(len(own))]
        taken = [0] * folds
        for speaker in sorted(shuffled, key=lambda speaker: -counts[speaker]):
            fold = min(range(folds), key=lambda i: (taken[i], len(held[i]), loads[i]))
            held[fold].append(speaker)
            taken[fold] += 1
            loads[fold] += counts[speaker]
    return [set(speakers) for speakers in held]


def _validation_speakers(clips: Sequence[Clip], without: str) -> set[str]:
    chosen: set[str] = set()
    for corpus in {clip.corpus for clip in clips} - {without}:
        speakers = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        if len(speakers) >= MIN_SPEAKERS:
            chosen |= {speakers[0], speakers[-1]}
    return chosen


def _clip_of(row: dict[str, str | None], by_name: dict[str, list[Clip]], where: str) -> Clip:
    """The clip that a row of a split file means."""
    name = row["file"] or ""
    wanted = PurePath(name.rpartition(STRETCH)[0] or name)
    found = [
        clip
        for clip in by_name.get(wanted.name, [])
        if clip.path.parts[-len(wanted.parts) :] == wanted.parts
        and row.get("corpus") in (None, "", clip.corpus)
        and row.get("speaker") in (None, "", clip.speaker)
    ]
    found = [clip for clip in found if clip.file == row["file"]] or found
    if len(found) != 1:
        what = (
            "is no clip of the recipe's corpora"
            if not found
            else f"means {len(found)} clips: give more of its path"
        )
        raise SplitError(f"{where}: {wanted} {what}")
    return found[0]


def _named(speakers: Iterable[str]) -> str:
    names = sorted(speakers)
    return f"{len(names)} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"


def _speakers(clips: Sequence[Clip]) -> set[str]:
    return {clip.speaker for clip in clips}


def _by_voice(clips: Sequence[Clip]) -> dict[str, str]:
    return {clip.speaker: clip.speaker for clip in clips}


def _by_content(clips: Sequence[Clip]) -> dict[str, str]:
    return {_digest(clip): str(clip.path) for clip in clips}


def _digest(clip: Clip) -> str:
    try:
        return hashlib.sha256(clip.path.read_bytes()).hexdigest()
    except OSError as error:
        raise CorpusError(f"{clip.path}: {error.strerror}: check the file and its permissions") from None
