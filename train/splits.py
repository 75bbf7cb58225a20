"""Who is trained on, who chooses the epoch, who is tested: split by speaker, checked for leaks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from train.corpora import Clip

# Test actors of each RAVDESS fold, and the validation actors that choose its epoch (DESIGN.md, section 6).
RAVDESS_TEST = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
RAVDESS_VALIDATION = ((3, 6), (10, 11), (8, 17), (1, 14), (2, 5))
MIN_SPEAKERS = 6  # a corpus with fewer gives none to validation


class LeakError(Exception):
    """A split whose parts share a speaker or a recording."""


@dataclass(frozen=True)
class Split:
    """Clips to fit on, to choose the epoch by, and to report on. No speaker is in two of them."""

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]


def ravdess_fold(clips: Sequence[Clip], fold: int) -> Split:
    """Fold 0–4 by actor; clips of other corpora all go to the training part."""
    test = {f"ravdess/{actor:02d}" for actor in RAVDESS_TEST[fold]}
    validation = {f"ravdess/{actor:02d}" for actor in RAVDESS_VALIDATION[fold]}
    return _by_speaker(f"ravdess_fold{fold}", clips, validation, test)


def leave_corpus_out(clips: Sequence[Clip], corpus: str) -> Split:
    """All of `corpus` is the test; of each other corpus the first and last speaker choose the epoch."""
    test = {clip.speaker for clip in clips if clip.corpus == corpus}
    return _by_speaker(f"without_{corpus}", clips, _validation_speakers(clips, corpus), test)


def everyone(clips: Sequence[Clip]) -> Split:
    """All clips to fit on; nothing is left to test, so nothing may be reported."""
    return Split("everyone", tuple(clips), (), ())


def check_leaks(split: Split) -> None:
    """Raises LeakError where two parts share a speaker, a file or the bytes of a file."""
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    names = list(parts)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for what, of in (("speaker", _speakers), ("recording", _contents)):
                shared = of(parts[first]) & of(parts[second])
                if shared:
                    raise LeakError(f"{split.name}: {first} and {second} share the {what} {min(shared)}")


def _by_speaker(name: str, clips: Sequence[Clip], validation: set[str], test: set[str]) -> Split:
    held_out = validation | test
    return Split(
        name,
        tuple(clip for clip in clips if clip.speaker not in held_out),
        tuple(clip for clip in clips if clip.speaker in validation),
        tuple(clip for clip in clips if clip.speaker in test),
    )


def _validation_speakers(clips: Sequence[Clip], without: str) -> set[str]:
    chosen: set[str] = set()
    for corpus in {clip.corpus for clip in clips} - {without}:
        speakers = sorted({clip.speaker for clip in clips if clip.corpus == corpus})
        if len(speakers) >= MIN_SPEAKERS:
            chosen |= {speakers[0], speakers[-1]}
    return chosen


def _speakers(clips: Sequence[Clip]) -> set[str]:
    return {clip.speaker for clip in clips}


def _contents(clips: Sequence[Clip]) -> set[str]:
    return {hashlib.sha256(clip.path.read_bytes()).hexdigest() for clip in clips}
