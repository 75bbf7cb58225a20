"""The tab "Models": what each shipped checkpoint is, and how often it is right.

Everything is read from the checkpoint's folder. Whatever protocols metrics.json holds are shown: one of them
is a result by itself, or holds results by the name of what was tested.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ser_core.bundle import Bundle, BundleError
from ser_core.catalogue import HEADLINE
from ser_ui import text
from ser_ui.layout import html
from ser_ui.shelf import Shelf

TITLE = "Models"
PROTOCOLS = {
    HEADLINE: "RAVDESS, five folds by actor, actors unseen",
    "leave_one_corpus_out": "A corpus never trained on",
}
MEASURES = {"accuracy": "Accuracy", "uar": "UAR", "macro_f1": "Macro F1"}  # all in percent
GROUPS = {"genders": "voices:", "in_sessions": "within a session:"}  # of results, and how a row is called
NAMED_SPEAKERS = 3  # at each end
CONFUSION = "confusion.csv"
CARD = "README.md"
LIMITS = "## What a score means"  # how the card's section on limits begins

INTRODUCTION = (
    '<p class="models-note">In percent, with 95% intervals in brackets, on voices (or corpora) that the '
    "measured model was not trained on, unless a table says otherwise. UAR, unweighted average recall, gives "
    "each emotion the same weight.</p>"
)


def build(shelf: Shelf) -> None:
    """The tab's content: all models of the server."""
    try:
        found = shelf.models()
    except BundleError as error:
        html(text.problem(error.message, "checkpoints/"))
        return
    html(INTRODUCTION + "".join(map(section, found)), elem_id="models")


def section(model: Bundle) -> str:
    """All that is known of one checkpoint."""
    protocols = model.metrics.get("protocols", {})
    results = "".join(_protocol(name, found) for name, found in protocols.items() if _results(found))
    return (
        f'<section class="card model"><h3>{escape(model.name)} '
        f"<span>version {escape(model.version)}</span></h3>"
        f"{_facts(model)}{results or '<p>Not measured.</p>'}{_calibration(model.metrics.get('calibration'))}"
        f"{_confusion(model)}{_limits(model)}</section>"
    )


def _facts(model: Bundle) -> str:
    facts = {
        "Architecture": model.architecture,
        "Size": f"{model.parameters / 1e6:.1f} million parameters, {model.size_bytes / 1e6:.1f} MB",
        "Emotions": ", ".join(model.labels),
        "Trained on": ", ".join(model.training_data) or "not stated",
        "Licence": model.licence or "not stated",
    }
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _protocol(name: str, found: Mapping[str, Any]) -> str:
    """A protocol's results as a table with who was trained on, tested and chosen how."""
    title = PROTOCOLS.get(name, name.replace("_", " ").capitalize())
    if found.get("speaker_dependent"):
        title += " (speaker-dependent: tested on voices it was trained on)"
    results = _results(found)
    measures = [key for key in MEASURES if any(_value(result, key) for _, result in results)]
    head = "".join(f'<th scope="col">{MEASURES[key]}</th>' for key in measures)
    rows = "".join(
        f'<tr><th scope="row">{escape(test)}</th>'
        + "".join(f"<td>{_value(result, key) or '–'}</td>" for key in measures)
        + "</tr>"
        for test, result in results
    )
    table = f'<thead><tr><th scope="col">Test</th>{head}</tr></thead><tbody>{rows}</tbody>'
    return f"{_table(title, table)}{_speakers(found.get('speakers'))}{_provenance(found)}"


def _results(found: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """The results in a protocol, by what was tested."""
    if not isinstance(found, Mapping):
        return []
    own = [("all test speakers", found)] if any(_value(found, key) for key in MEASURES) else []
    rows = [*own, *((name, part) for name, part in found.items() if name not in MEASURES)]
    for group, words in GROUPS.items():
        for name, part in [("", found), *found.items()]:
            if isinstance(part, Mapping) and isinstance(part.get(group), Mapping):
                rows += [
                    (f"{name + ', ' if name else ''}{words} {of.replace('_', ' ')}", result)
                    for of, result in part[group].items()
                ]
    return [
        (name, part)
        for name, part in rows
        if isinstance(part, Mapping) and any(_value(part, key) for key in MEASURES)
    ]


def _value(result: Mapping[str, Any], key: str) -> str:
    """A measure with its interval where there is one, in percent; empty where it was not taken.

    >>> _value({"uar": {"mean": 76.33, "ci95": [71.9, 80.8]}}, "uar")
    '76.3 (71.9–80.8)'
    >>> _value({"uar": 51.49, "uar_ci95": [46.58, 56.4]}, "uar")
    '51.5 (46.6–56.4)'
    """
    found, interval = result.get(key), result.get(f"{key}_ci95")
    if isinstance(found, Mapping):
        found, interval = found.get("mean"), found.get("ci95")
    if not isinstance(found, int | float):
        return ""
    return f"{found:.1f}" + (f" ({interval[0]:.1f}–{interval[1]:.1f})" if interval else "")


def _speakers(speakers: Any) -> str:
    """Best and worst speakers, where each was measured."""
    if not isinstance(speakers, Mapping) or not speakers:
        return ""
    ranked = sorted(speakers.items(), key=lambda item: -item[1])

    def named(some: Sequence[tuple[str, float]]) -> str:
        return ", ".join(f"{escape(name)} {share:.0f}" for name, share in some)

    best, worst = named(ranked[:NAMED_SPEAKERS]), named(ranked[::-1][:NAMED_SPEAKERS])
    return f"<p>Best of {len(ranked)} speakers: {best}. Worst: {worst}.</p>"


def _provenance(found: Mapping[str, Any]) -> str:
    """How the numbers came about, in a line."""
    parts = []
    if found.get("trained_on"):
        parts.append(f"corpora: {', '.join(found['trained_on'])}")
    if found.get("selection"):
        parts.append(f"epoch chosen by {found['selection']}")
    if found.get("interval"):
        parts.append(f"interval: {found['interval']}")
    words = escape("; ".join(parts))
    command = f"<code>{escape(found['command'])}</code>" if found.get("command") else ""
    return f'<p class="provenance">{words[:1].upper() + words[1:]} {command}</p>'


def _calibration(found: Mapping[str, Any] | None) -> str:
    """How far a confidence can be believed."""
    if not found or not {"ece", "threshold", "answered", "accuracy_of_answered"} <= set(found):
        return ""
    return (
        f"<p>Confidence is off by {found['ece']:.1%} on average (expected calibration error). Under "
        f"{found['threshold']:.0%} the answer is <i>unknown</i>: {found['answered']:.0f}% of test clips "
        f"get an emotion, {found['accuracy_of_answered']:.0f}% of those the right one.</p>"
    )


def _confusion(model: Bundle) -> str:
    """What was taken for what, in clips; the stronger the colour, the larger the share of its row."""
    path = model.path and model.path / CONFUSION
    if not path or not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        (_, *heard), *lines = csv.reader(file)
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in heard)
    rows = "".join(
        f'<tr><th scope="row">{escape(meant)}</th>{"".join(_shares(list(map(int, counts))))}</tr>'
        for meant, *counts in lines
    )
    table = f'<thead><tr><th scope="col">meant</th>{head}</tr></thead><tbody>{rows}</tbody>'
    return _table("What was meant (rows) and what was heard (columns), test clips", table, "confusion")


def _shares(counts: Sequence[int]) -> Iterator[str]:
    total = sum(counts) or 1
    for count in counts:
        yield f'<td style="--share: {100 * count / total:.0f}%">{count}</td>'


def _limits(model: Bundle) -> str:
    """What its card says it should not be used for."""
    path = model.path and model.path / CARD
    if not path or not path.is_file():
        return ""
    paragraphs = _section(path, LIMITS)
    return "<h4>Limits</h4>" + "".join(f"<p>{escape(p)}</p>" for p in paragraphs) if paragraphs else ""


def _section(card: Path, heading: str) -> list[str]:
    """The paragraphs under the card's first heading that begins with `heading`."""
    lines = card.read_text(encoding="utf-8").splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith(heading)), len(lines)) + 1
    end = next((at for at in range(start, len(lines)) if lines[at].startswith("## ")), len(lines))
    return [" ".join(part.split()) for part in "\n".join(lines[start:end]).split("\n\n") if part.strip()]


def _table(title: str, content: str, kind: str = "results") -> str:
    """A table that scrolls in itself where the window is narrow, also by keyboard."""
    name = escape(title)
    return (
        f'<div class="model-table {kind}" role="region" tabindex="0" aria-label="{name}">'
        f"<table><caption>{name}</caption>{content}</table></div>"
    )
