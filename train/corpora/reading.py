"""Reads the clips of a corpus from a folder or a CSV."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ser_core.audio.formats import SUFFIXES
from ser_core.commands import inputs
from ser_core.emotions import LABELS, canonical
from train.corpora.clip import UNKNOWN_SPEAKER, Clip, CorpusError
from train.corpora.naming import FOLDER as LABEL_FILES
from train.corpora.naming import Naming, namings
from train.corpora.table import read_table
from train.corpora.traps import without_traps
from train.corpora.usable import clashes, similar_speakers

log = logging.getLogger(__name__)
CORPORA = ("ravdess", "emovo", "nemo", "tess")  # default of a recipe
NO_LIMITS: Mapping[str, int] = MappingProxyType({})
TABLE = "metadata.csv"
MIN_NAMED = 0.5  # share of a folder's recordings that must follow a naming scheme
FOLDERS = "folders named after emotions"


@dataclass(frozen=True)
class Reading:
    """The clips of one corpus, and the clips that were left out."""

    corpus: str
    how: str  # source of speaker and emotion: a table, a naming or folders
    clips: tuple[Clip, ...]
    left_out: dict[str, int]  # class outside of LABELS, or known defect -> clips
    warnings: tuple[str, ...]  # problems to check, with the file's name


def read(
    data: Path,
    corpora: Sequence[str] = CORPORA,
    left_out_speakers: Sequence[str] = (),
    most_clips: Mapping[str, int] = NO_LIMITS,
) -> list[Clip]:
    """The clips of `corpora` under the folder `data`, one corpus after the other.

    A corpus is the folder `data/NAME` or the table `data/NAME.csv`. Of a corpus in `most_clips` so many are
    drawn, see `drawn`. Raises CorpusError as `read_corpus` does, and for a left-out speaker without clips.
    """
    clips = [clip for corpus in corpora for clip in read_corpus(data / corpus)]
    if unknown := set(left_out_speakers) - {clip.speaker for clip in clips}:
        raise CorpusError(f"no clip is by {min(unknown)}, who is to be left out: correct left_out_speakers")
    clips = [clip for clip in clips if clip.speaker not in left_out_speakers]
    for corpus, most in most_clips.items():
        drawn_clips = set(drawn([clip for clip in clips if clip.corpus == corpus], most))
        clips = [clip for clip in clips if clip.corpus != corpus or clip in drawn_clips]
    return clips


def drawn(clips: Sequence[Clip], most: int) -> list[Clip]:
    """At most `most` of `clips`: one of each speaker's emotion after the other, in a fixed random order."""
    rng = np.random.default_rng(0)
    cells: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        cells.setdefault((clip.speaker, clip.emotion), []).append(clip)
    queue = []
    for cell in cells.values():
        order = rng.permutation(len(cell))
        queue += [(turn, rng.random(), cell[row]) for turn, row in enumerate(order)]
    return [clip for _, _, clip in sorted(queue, key=lambda item: item[:2])][:most]


def read_corpus(folder: Path) -> list[Clip]:
    """The clips of one corpus; logs a warning for clips that were left out.

    Raises CorpusError where nothing can be read, or where a table is wrong.
    """
    reading = load(folder)
    for name, count in reading.left_out.items():
        log.warning("%s: %d clips left out: %s", reading.corpus, count, name)
    for warning in reading.warnings:
        log.warning("%s: %s", reading.corpus, warning)
    return [replace(clip, data=folder.parent) for clip in reading.clips]


def load(folder: Path) -> Reading:
    """Reads `folder` by its `metadata.csv`, else by the naming of its files, else by folders named after
    emotions; where there is no such folder, the table `folder`.csv. Known traps of a corpus are left out.

    Raises CorpusError where none of them is there, or where a table is wrong.
    """
    reading = _read(folder)
    clips, left_out = without_traps(reading.corpus, reading.clips)
    return replace(reading, clips=clips, left_out=reading.left_out | left_out)


def _read(folder: Path) -> Reading:
    """The clips of the corpus in `folder` with their labels as they stand there."""
    table = folder / TABLE
    if not table.is_file() and not folder.is_dir():
        table = folder if folder.suffix == ".csv" else folder.parent / f"{folder.name}.csv"
    if table.is_file():
        corpus = table.parent.name if table.name == TABLE else table.stem
        clips = tuple(read_table(table, corpus))
        return Reading(corpus, table.name, clips, {}, (*similar_speakers(clips), *clashes(clips)[1]))
    if not folder.is_dir():
        raise CorpusError(
            f"{folder / TABLE} is missing, and so are {folder}/ and {table}: "
            f"--data must name the folder that holds {folder.name}/"
        )
    recordings = recordings_in(folder)
    naming = naming_of(recordings)
    reading = _by_naming(folder, recordings, naming) if naming else _by_folders(folder, recordings)
    remarks = inputs.expand([str(folder)]).remarks
    return replace(reading, warnings=(*reading.warnings, *remarks))


def find(folder: Path) -> list[Path]:
    """The corpora in `folder`: its subfolders and tables, or `folder` itself where it is one corpus.

    `folder` is a corpus if it holds recordings, a metadata.csv or a folder named after an emotion, or if its
    name begins with that of a known corpus. Raises CorpusError where there is none.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder} is no folder: name the one that holds the corpora")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    is_corpus = any(path.suffix.lower() in SUFFIXES or path.name == TABLE for path in entries)
    has_classes = any(path.is_dir() and _emotion(path.name) for path in entries)
    name = _letters(folder.name)
    if is_corpus or has_classes or any(name.startswith(_letters(naming.name)) for naming in namings()):
        return [folder]
    corpora = [path for path in entries if path.suffix == ".csv" or (path.is_dir() and recordings_in(path))]
    if not corpora:
        raise CorpusError(
            f"{folder} holds no corpora: a {TABLE} is missing, and no subfolder holds recordings. Name the "
            "folder whose subfolders are the corpora"
        )
    return corpora


def recordings_in(folder: Path) -> list[Path]:
    """The recordings under `folder`, sorted; hidden files and folders are left out, as `analyze` does."""
    return sorted(Path(item.path) for item in inputs.expand([str(folder)]).items if not item.error)


def naming_of(recordings: Sequence[Path]) -> Naming | None:
    """The known naming that most of `recordings` follow, if at least MIN_NAMED of them do."""

    def count_matches(naming: Naming) -> int:
        return sum(naming.match(path) is not None for path in recordings)

    best = max(namings(), key=count_matches)
    return best if count_matches(best) >= max(1, MIN_NAMED * len(recordings)) else None


def _by_naming(folder: Path, recordings: Sequence[Path], naming: Naming) -> Reading:
    clips: list[Clip] = []
    left_out: dict[str, list[Path]] = {}
    unmatched = []
    for path in recordings:
        match = naming.match(path)
        if match is None:
            unmatched.append(path)
            continue
        clip_or_class = naming.clip(path, match, folder.name)
        if isinstance(clip_or_class, Clip):
            clips.append(clip_or_class)
        else:
            left_out.setdefault(clip_or_class, []).append(path)
    warnings = [
        f"{paths[0]} has an {name}: add it to {LABEL_FILES / naming.name}.toml"
        for name, paths in left_out.items()
        if name.startswith("unknown label")
    ]
    if unmatched:
        warnings.append(
            f"{len(unmatched)} recordings are not named as {naming.title} names them, "
            f"the first {unmatched[0]}: rename or remove them"
        )
    absent = set(naming.emotion.values()) - {clip.emotion for clip in clips}
    warnings += [
        f"no clip is {label}, which {naming.title} has: unpack the whole corpus"
        for label in LABELS
        if label in absent
    ]
    counts = {name: len(paths) for name, paths in sorted(left_out.items())}
    return _checked(
        folder, Reading(folder.name, f"names as in {naming.title}", tuple(clips), counts, tuple(warnings))
    )


def _by_folders(folder: Path, recordings: Sequence[Path]) -> Reading:
    """Clips whose class is the name of the nearest parent folder that is named after an emotion."""
    speaker = f"{folder.name}/{UNKNOWN_SPEAKER}"
    clips = []
    left_out: Counter[str] = Counter()
    for path in recordings:
        parents = path.relative_to(folder).parts[-2::-1]
        emotion = next((label for label in map(_emotion, parents) if label), None)
        if emotion:
            clips.append(Clip(folder.name, path, speaker, "", emotion, ""))
        else:
            left_out[parents[-1] if parents else "not in a folder of its class"] += 1
    classes = [path for path in sorted(folder.rglob("*")) if path.is_dir() and _emotion(path.name)]
    warnings = [
        f"the class {path} is empty: put recordings into it or remove it"
        for path in classes
        if not any(path in clip.path.parents for clip in clips)
    ]
    warnings += [
        f"the folder {folder / name} is not named after an emotion ({', '.join(LABELS)}): rename it to use it"
        for name in sorted(left_out)
        if (folder / name).is_dir()
    ]
    warnings.append(
        "speakers are unknown and count as one voice, which no split divides: a CSV with the columns "
        "file,speaker,emotion names them"
    )
    return _checked(
        folder, Reading(folder.name, FOLDERS, tuple(clips), dict(sorted(left_out.items())), tuple(warnings))
    )


def _checked(folder: Path, reading: Reading) -> Reading:
    if not reading.clips:
        raise CorpusError(
            f"{folder} holds no clips: {TABLE} is missing, its files are named like none of "
            f"{', '.join(naming.title for naming in namings())}, and no folder in it that is named after an "
            f"emotion ({', '.join(LABELS)}) holds recordings"
        )
    return reading


def _emotion(name: str) -> str | None:
    try:
        return canonical(name)
    except ValueError:
        return None


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))
