"""Naming schemes of corpora: speaker and emotion from file names, by one label file for each corpus.

A label file holds the corpus's title and language, a regular expression for the end of a clip's path (without
its suffix) with the groups `speaker` and `emotion`, the meaning of the emotion codes, and optionally:

    [gender]            codes of the group `gender`, or of the speaker where there is no such group
    [speaker]           other spellings of a speaker
    [left_out.GROUP]    codes of a group whose clips are left out, with their name
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ser_core.emotions import LABELS
from train.corpora.clip import Clip, CorpusError

FOLDER = Path(__file__).with_name("labels")


@dataclass(frozen=True)
class Naming:
    """How one corpus names its files."""

    name: str  # of the label file: ravdess
    title: str  # RAVDESS
    language: str  # ISO 639 code
    naming: re.Pattern[str]  # of the end of a path, without its suffix
    emotion: dict[str, str]  # code -> name in LABELS
    gender: dict[str, list[str]] = field(default_factory=dict)  # female or male -> codes
    speaker: dict[str, str] = field(default_factory=dict)  # spelling -> speaker
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)  # group -> code -> name

    def match(self, path: Path) -> re.Match[str] | None:
        """The match of the file name `path`; None if it does not follow this naming."""
        return self.naming.search(path.with_suffix("").as_posix())

    def clip(self, path: Path, match: re.Match[str], corpus: str) -> Clip | str:
        """The clip at `path`, or the name of the class for which it is left out; `match` as from `match`."""
        for group, names in self.left_out.items():
            if match[group] in names:
                return names[match[group]]
        code = match["emotion"]
        if code not in self.emotion:
            return f"unknown label {code}"
        speaker = self.speaker.get(match["speaker"], match["speaker"])
        key = match.groupdict().get("gender", speaker)
        gender = next((name for name, codes in self.gender.items() if key in codes), "")
        return Clip(corpus, path, f"{corpus}/{speaker}", gender, self.emotion[code], self.language)


@cache
def namings() -> tuple[Naming, ...]:
    """The known namings, sorted by name, one for each file of `train/corpora/labels`."""
    return tuple(read_naming(path) for path in sorted(FOLDER.glob("*.toml")))


def read_naming(path: Path) -> Naming:
    """The naming in a label file. Raises CorpusError for an incomplete or inconsistent file."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        pattern = re.compile(rf"(?:^|/)(?:{raw.pop('naming')})$")
        naming = Naming(name=path.stem, naming=pattern, **raw)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, re.error) as error:
        raise CorpusError(f"{path} is no label file: {error}; compare it with the others there") from None
    missing = {"speaker", "emotion", *naming.left_out} - pattern.groupindex.keys()
    unknown = set(naming.emotion.values()) - set(LABELS)
    if missing or unknown:
        missing_item = (
            f"group {min(missing)} in its naming" if missing else f"emotion {min(unknown)} in {LABELS}"
        )
        raise CorpusError(f"{path}: there is no {missing_item}")
    return naming
