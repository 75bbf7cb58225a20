"""Known defects of published corpora: clips that are left out, and labels that mean another class.

A file in `train/corpora/traps` is named after a corpus and holds

    [emotion]           labels that mean another class of LABELS in this corpus
    [left_out]          reason -> names of files without suffix
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from ser_core.emotions import LABELS
from train.corpora.clip import Clip

FOLDER = Path(__file__).with_name("traps")


@dataclass(frozen=True)
class Traps:
    """The known defects of one corpus."""

    emotion: dict[str, str] = field(default_factory=dict)  # label -> the class that it means
    left_out: dict[str, list[str]] = field(default_factory=dict)  # reason -> names of files without suffix

    def __post_init__(self) -> None:
        unknown = set(self.emotion.values()) - set(LABELS)
        if unknown:
            raise ValueError(f"{min(unknown)} is none of {', '.join(LABELS)}")


def without_traps(corpus: str, clips: Sequence[Clip]) -> tuple[tuple[Clip, ...], dict[str, int]]:
    """The `clips` of `corpus` that remain, and how many were left out for each reason."""
    traps = traps_of(corpus)
    reasons = {name: reason for reason, names in traps.left_out.items() for name in names}
    kept, counts = [], dict.fromkeys(traps.left_out, 0)
    for clip in clips:
        if reason := reasons.get(clip.path.stem):
            counts[reason] += 1
        else:
            kept.append(replace(clip, emotion=traps.emotion.get(clip.emotion, clip.emotion)))
    return tuple(kept), {reason: count for reason, count in counts.items() if count}


@cache
def traps_of(corpus: str) -> Traps:
    """The known defects of `corpus`; none for a corpus without a file."""
    path = FOLDER / f"{corpus}.toml"
    return Traps(**tomllib.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Traps()
