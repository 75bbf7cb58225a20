"""Run cards in Markdown: training, protocol, results and limits of one run."""

import csv
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ser_core.checkpoint.bundle import Bundle
from train.corpora import Clip
from train.corpora.splits import PARTS, Split
from train.recipe import Recipe
from train.reports import curves, report
from train.reports.card import in_sessions
from train.reports.provenance import describe_corpus, licence, origin

FEW_SPEAKERS = 10  # below it the interval over speakers is itself uncertain
LIMITS = """A score says how much a voice sounds like training clips of that label, not what a person feels.
Most corpora are acted in studios: expect less of spontaneous speech and of other languages. This is one run
with one seed; another seed gives other numbers. Do not use it to judge people."""


def run_card(recipe: Recipe, split: Split, saved: Bundle, metrics: dict[str, Any], folder: Path) -> str:
    """The card of the run in `folder`, which holds its tables; `metrics` as in metrics.json."""
    parts = [
        f"# {recipe.name}, {split.name}",
        f"`{saved.architecture}` with {saved.parameters:,} parameters. {origin(recipe.to_dict())} "
        f"It names the emotion of a stretch of speech: {', '.join(saved.labels)}.",
        f"## Protocol\n\n{protocol(split, bool(recipe.sessions))}\n\n{_parts(split)}",
    ]
    if split.test:
        parts += [
            f"## Measured\n\n{_numbers(metrics)}",
            f"![confusion matrix](confusion.png)\n\n{_table(folder / report.PER_CLASS)}",
            f"## Speakers\n\n{_speakers(folder / report.PER_SPEAKER)}",
        ]
    parts.append(f"## Training\n\n{_training(folder, metrics)}\n\n{_recipe(recipe)}")
    parts.append(f"## Limits\n\n{_limits(split)}")
    parts.append(
        f"## Licence\n\nWeights: {licence(clip.corpus for clip in split.train)}. The program's code is MIT."
    )
    return "\n\n".join(parts) + "\n"


def protocol(split: Split, fixed: bool = False) -> str:
    """Describes test part and selection of the epoch; `fixed`: the number of epochs is fixed."""
    if not split.test:
        return (
            "Trained on everybody; nobody is left to test, and the last epoch is kept. "
            "Its worth is measured by runs of the same recipe that leave speakers out."
        )
    selection = "the epoch with the lowest loss on the validation part is kept."
    if fixed:
        selection = "the number of epochs is fixed; the validation part only calibrates."
    if split.speaker_dependent:
        return (
            "**Speaker-dependent**: recordings were split, not speakers, so the voices that are tested were "
            f"also trained on. It flatters; never the headline. No recording is in two parts; {selection}"
        )
    return f"Speaker-independent: no speaker is in two parts, no recording and no copy of one; {selection}"


def _parts(split: Split) -> str:
    rows = ["| part | clips | speakers | corpora |", "|---|---|---|---|"]
    for part in PARTS:
        clips: Sequence[Clip] = getattr(split, part)
        if clips:
            corpora = "; ".join(dict.fromkeys(describe_corpus(clip.corpus) for clip in clips))
            rows.append(f"| {part} | {len(clips)} | {len({c.speaker for c in clips})} | {corpora} |")
    return "\n".join(rows)


def _numbers(metrics: dict[str, Any]) -> str:
    rows = ["| percent | | 95 % interval over speakers |", "|---|---|---|"]
    for key, title in (("accuracy", "accuracy"), ("uar", "unweighted average recall (UAR)")):
        low, high = metrics[f"{key}_ci95"]
        rows.append(f"| {title} | {metrics[key]:.1f} | {low:.1f}–{high:.1f} |")
    rows.append(f"| macro-F1 | {metrics['macro_f1']:.1f} | |")
    return "\n".join(rows) + (
        f"\n\n{metrics['clips']} clips of {metrics['speakers']} speakers. Expected calibration error "
        f"{metrics['ece']:.3f} at temperature {metrics['temperature']:g}, fitted on the validation part."
        + in_sessions(metrics.get("in_sessions", {}))
    )


def _table(path: Path) -> str:
    """A CSV as a Markdown table."""
    header, *rows = _rows(path)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def _speakers(path: Path) -> str:
    _, *rows = _rows(path)
    best, worst = (
        f"{name} ({gender + ', ' if gender else ''}{accuracy} %)"
        for name, gender, _, accuracy, _ in (rows[0], rows[-1])
    )
    return f"Best: {best}; worst: {worst}.\n\n{_table(path)}"


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _training(folder: Path, metrics: dict[str, Any]) -> str:
    epochs = curves.read(folder / curves.CSV)
    text = f"Epoch {metrics['epoch']} was kept (counted from 0)"
    return f"{text}, of {len(epochs)}.\n\n![curves]({curves.PICTURE})" if epochs else f"{text}."


def _recipe(recipe: Recipe) -> str:
    """A table of the keys that differ from their defaults."""
    rows = ["| recipe | |", "|---|---|"]
    for f in fields(recipe):
        value = getattr(recipe, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if value != default:
            rows.append(f"| {f.name} | {_formatted(value)} |")
    return (
        "\n".join(rows)
        + "\n\nEverything else is at the default of `train/recipe.py`; `recipe.json` has it all."
    )


def _formatted(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_formatted(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_formatted, value))
    if hasattr(value, "__dataclass_fields__"):
        return _formatted({key: entry for key, entry in vars(value).items() if entry})
    return str(value)


def _limits(split: Split) -> str:
    n_speakers = len({clip.speaker for clip in split.test})
    text = LIMITS
    if 0 < n_speakers < FEW_SPEAKERS:
        text += (
            f"\nOnly {n_speakers} speaker{'s' if n_speakers > 1 else ''} tested: "
            "the interval is itself uncertain."
        )
    return text
