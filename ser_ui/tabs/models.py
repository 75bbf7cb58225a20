"""The tab "Models": what each shipped checkpoint is, and how often it is right.

Everything is read from the checkpoint's folder. Whatever protocols metrics.json holds are shown: one of them
is a result by itself, or holds results by the name of what was tested.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_ui import text, words
from ser_ui.layout import html
from ser_ui.shelf import Shelf
from ser_ui.words import Phrases

NAME = "models"
MEASURES = ("accuracy", "uar", "macro_f1")  # all in percent
GROUPS = ("genders", "in_sessions")  # of results
NAMED_SPEAKERS = 3  # at each end
CONFUSION = "confusion.csv"
CARD = "README.md"
LIMITS = "## What a score means"  # how the card's section on limits begins


def build(shelf: Shelf) -> None:
    """The tab's content; what it says is `content`, in the visitor's language."""
    html(words.key("page.models"), elem_id="models")


def content(shelf: Shelf, phrases: Phrases) -> str:
    """All models of the server, in one language."""
    try:
        found = shelf.models()
    except BundleError as error:
        return text.problem(phrases.error(error), "checkpoints/", phrases)
    introduction = f'<p class="models-note">{escape(phrases("models.introduction"))}</p>'
    return introduction + "".join(section(model, phrases) for model in found)


def section(model: Bundle, phrases: Phrases) -> str:
    """All that is known of one checkpoint."""
    protocols = model.metrics.get("protocols", {})
    results = "".join(
        _protocol(name, found, phrases) for name, found in protocols.items() if _results(found, phrases)
    )
    version = escape(phrases("models.version", version=model.version))
    return (
        f'<section class="card model"><h3>{escape(model.name)} <span>{version}</span></h3>'
        f"{_facts(model, phrases)}"
        f"{results or '<p>' + escape(phrases('models.not_measured')) + '</p>'}"
        f"{_calibration(model.metrics.get('calibration'), phrases)}"
        f"{_confusion(model, phrases)}{_limits(model, phrases)}</section>"
    )


def _facts(model: Bundle, phrases: Phrases) -> str:
    size = {
        "parameters": phrases.number(model.parameters / 1e6, 1),
        "megabytes": phrases.number(model.size_bytes / 1e6, 1),
    }
    facts = {
        "architecture": escape(model.architecture),
        "size": escape(phrases("models.size_value", **size)),
        "emotions": escape(", ".join(map(phrases.emotion, model.labels))),
        "trained_on": _english(", ".join(model.training_data)) or escape(phrases("models.not_stated")),
        "licence": _english(model.licence) or escape(phrases("models.not_stated")),
    }
    rows = "".join(
        f"<div><dt>{escape(phrases(f'models.{name}'))}</dt><dd>{value}</dd></div>"
        for name, value in facts.items()
    )
    return f"<dl>{rows}</dl>"


def _english(said: str) -> str:
    """What the checkpoint itself says, in English whatever the page's language."""
    return said and f'<span lang="en">{escape(said)}</span>'


def _protocol(name: str, found: Mapping[str, Any], phrases: Phrases) -> str:
    """A protocol's results as a table with who was trained on, tested and chosen how."""
    title = phrases.known(f"models.{name}", name.replace("_", " ").capitalize())
    if found.get("speaker_dependent"):
        title = phrases("models.speaker_dependent", title=title)
    results = _results(found, phrases)
    measures = [key for key in MEASURES if any(_value(result, key, phrases) for _, result in results)]
    head = "".join(f'<th scope="col">{escape(phrases(f"models.{key}"))}</th>' for key in measures)
    rows = "".join(
        f'<tr><th scope="row">{escape(test)}</th>'
        + "".join(f"<td>{_value(result, key, phrases) or '–'}</td>" for key in measures)
        + "</tr>"
        for test, result in results
    )
    test = escape(phrases("models.test"))
    table = f'<thead><tr><th scope="col">{test}</th>{head}</tr></thead><tbody>{rows}</tbody>'
    speakers = _speakers(found.get("speakers"), phrases)
    return f"{_table(title, table)}{speakers}{_provenance(found, phrases)}"


def _results(found: Any, phrases: Phrases) -> list[tuple[str, Mapping[str, Any]]]:
    """The results in a protocol, by what was tested."""
    if not isinstance(found, Mapping):
        return []
    rows = [(phrases("models.all_speakers"), found)] if _measured(found, phrases) else []
    rows += [(name, part) for name, part in found.items() if name not in MEASURES]
    for group in GROUPS:
        for name, part in [("", found), *found.items()]:
            if isinstance(part, Mapping) and isinstance(part.get(group), Mapping):
                rows += [
                    (f"{name + ', ' if name else ''}{_grouped(group, of, phrases)}", result)
                    for of, result in part[group].items()
                ]
    return [(name, part) for name, part in rows if _measured(part, phrases)]


def _grouped(group: str, name: str, phrases: Phrases) -> str:
    """What the part `name` of the test clips is called."""
    return phrases(f"models.{group}", group=phrases.known(f"models.{name}", name.replace("_", " ")))


def _measured(found: Any, phrases: Phrases) -> bool:
    return isinstance(found, Mapping) and any(_value(found, key, phrases) for key in MEASURES)


def _value(result: Mapping[str, Any], key: str, phrases: Phrases) -> str:
    """A measure with its interval where there is one, in percent; empty where it was not taken.

    >>> english = words.PHRASES["en"]
    >>> _value({"uar": {"mean": 76.33, "ci95": [71.9, 80.8]}}, "uar", english)
    '76.3 (71.9–80.8)'
    >>> _value({"uar": 51.49, "uar_ci95": [46.58, 56.4]}, "uar", english)
    '51.5 (46.6–56.4)'
    """
    found, interval = result.get(key), result.get(f"{key}_ci95")
    if isinstance(found, Mapping):
        found, interval = found.get("mean"), found.get("ci95")
    if not isinstance(found, int | float):
        return ""
    value = phrases.number(found, 1)
    return value + (f" ({'–'.join(phrases.number(end, 1) for end in interval)})" if interval else "")


def _speakers(speakers: Any, phrases: Phrases) -> str:
    """Best and worst speakers, where each was measured."""
    if not isinstance(speakers, Mapping) or not speakers:
        return ""
    ranked = sorted(speakers.items(), key=lambda item: -item[1])

    def named(some: Sequence[tuple[str, float]]) -> str:
        return ", ".join(f"{name} {share:.0f}" for name, share in some)

    best, worst = named(ranked[:NAMED_SPEAKERS]), named(ranked[::-1][:NAMED_SPEAKERS])
    return f"<p>{escape(phrases('models.speakers', count=len(ranked), best=best, worst=worst))}</p>"


def _provenance(found: Mapping[str, Any], phrases: Phrases) -> str:
    """How the numbers came about, in a line; what the checkpoint itself says of it is English."""
    parts = []
    if found.get("trained_on"):
        parts.append(escape(phrases("models.corpora", corpora=", ".join(found["trained_on"]))))
    for name in ("selection", "interval"):
        if found.get(name):
            parts.append(phrases(f"models.{name}", **{name: _english(found[name])}))
    told = "; ".join(parts)
    command = f"<code>{escape(found['command'])}</code>" if found.get("command") else ""
    return f'<p class="provenance">{told[:1].upper() + told[1:]} {command}</p>'


def _calibration(found: Mapping[str, Any] | None, phrases: Phrases) -> str:
    """How far a confidence can be believed."""
    if not found or not {"ece", "threshold", "answered", "accuracy_of_answered"} <= set(found):
        return ""
    said = phrases(
        "models.calibration",
        error=phrases.percent(found["ece"], 1),
        threshold=phrases.percent(found["threshold"]),
        answered=phrases.percent(found["answered"] / 100),
        right=phrases.percent(found["accuracy_of_answered"] / 100),
    )
    return f"<p>{escape(said)}</p>"


def _confusion(model: Bundle, phrases: Phrases) -> str:
    """What was taken for what, in clips; the stronger the colour, the larger the share of its row."""
    path = model.path and model.path / CONFUSION
    if not path or not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        (_, *heard), *lines = csv.reader(file)
    head = "".join(f'<th scope="col">{escape(phrases.emotion(label))}</th>' for label in heard)
    rows = "".join(
        f'<tr><th scope="row">{escape(phrases.emotion(meant))}</th>'
        f"{''.join(_shares(list(map(int, counts))))}</tr>"
        for meant, *counts in lines
    )
    meant = escape(phrases("models.meant"))
    table = f'<thead><tr><th scope="col">{meant}</th>{head}</tr></thead><tbody>{rows}</tbody>'
    return _table(phrases("models.confusion"), table, "confusion")


def _shares(counts: Sequence[int]) -> Iterator[str]:
    total = sum(counts) or 1
    for count in counts:
        yield f'<td style="--share: {100 * count / total:.0f}%">{count}</td>'


def _limits(model: Bundle, phrases: Phrases) -> str:
    """What its card says, in English, it should not be used for."""
    path = model.path and model.path / CARD
    if not path or not path.is_file():
        return ""
    paragraphs = "".join(f'<p lang="en">{escape(paragraph)}</p>' for paragraph in _section(path, LIMITS))
    return f"<h4>{escape(phrases('models.limits'))}</h4>{paragraphs}" if paragraphs else ""


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
