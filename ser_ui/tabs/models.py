"""The tab "Models": each shipped checkpoint with its measured accuracy.

Everything is read from the checkpoint's folder. All protocols in metrics.json are shown. A protocol is either
one result, or holds several results by the name of what was tested.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_ui import text, words
from ser_ui.layout import html
from ser_ui.model_cache import ModelCache
from ser_ui.words import Phrases

NAME = "models"
LEFT_OUT_KINDS = ("by_themselves", "every_emotion", "mostly_neutral", "one_emotion")
LEFT_OUT_MEANS = ("ravdess_5fold", "mean", "mean_of_all")
MEASURES = ("accuracy", "uar", "macro_f1")  # all in percent
GROUPS = ("genders", "in_sessions")  # keys that hold results of parts of the test clips
NAMED_SPEAKERS = 3  # best and worst ones that are named
CONFUSION = "confusion.csv"
CARD = "README.md"
LIMITS = "## What a score means"  # first words of the card's section on limits


def build(cache: ModelCache) -> None:
    """The tab's content; its text is `content`, in the visitor's language."""
    html(words.key("page.models"), elem_id="models")


def content(cache: ModelCache, phrases: Phrases) -> str:
    """All models of the server, in one language."""
    try:
        bundles = cache.models()
    except BundleError as error:
        return text.problem(phrases.error(error), "checkpoints/", phrases)
    introduction = f'<p class="models-note">{escape(phrases("models.introduction"))}</p>'
    return introduction + "".join(section(model, phrases) for model in bundles)


def section(model: Bundle, phrases: Phrases) -> str:
    """Everything about one checkpoint: facts, results, calibration, confusions and limits."""
    protocols = model.metrics.get("protocols", {})
    if (
        "left_out" in model.metrics
    ):  # its table has the sessions, judged as the shipped checkpoint judges them
        protocols = {name: _without_sessions(protocol) for name, protocol in protocols.items()}
    results = "".join(
        _protocol(name, protocol, phrases)
        for name, protocol in protocols.items()
        if _results(protocol, phrases)
    )
    left_out = _left_out(model.metrics.get("left_out"), phrases)
    version = escape(phrases("models.version", version=model.version))
    return (
        f'<section class="card model"><h3>{escape(model.name)} <span>{version}</span></h3>'
        f"{_facts(model, phrases)}"
        f"{results or left_out or '<p>' + escape(phrases('models.not_measured')) + '</p>'}"
        f"{left_out if results else ''}"
        f"{_calibration(model.metrics.get('calibration'), phrases)}"
        f"{_confusion(model, phrases)}{_limits(model, phrases)}</section>"
    )


def _facts(model: Bundle, phrases: Phrases) -> str:
    """Architecture, size, emotions, training data and licence of a checkpoint."""
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


def _english(text: str) -> str:
    """`text` of a checkpoint, marked as English, whatever the page's language."""
    return text and f'<span lang="en">{escape(text)}</span>'


def _protocol(name: str, protocol: Mapping[str, Any], phrases: Phrases) -> str:
    """A protocol's results as a table, with training data, selection of the checkpoint and command."""
    title = phrases.known(f"models.{name}", name.replace("_", " ").capitalize())
    if protocol.get("speaker_dependent"):
        title = phrases("models.speaker_dependent", title=title)
    results = _results(protocol, phrases)
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
    speakers = _speakers(protocol.get("speakers"), phrases)
    return f"{_table(title, table)}{speakers}{_provenance(protocol, phrases)}"


def _without_sessions(protocol: Any) -> Any:
    """A protocol without its results within sessions."""
    if not isinstance(protocol, Mapping):
        return protocol
    return {name: _without_sessions(part) for name, part in protocol.items() if name != "in_sessions"}


def _left_out(measured: Mapping[str, Any] | None, phrases: Phrases) -> str:
    """UAR on corpora left out, single clips and sessions of each kind, as `benchmarks.left_out` measures."""
    if not measured:
        return ""
    rows = {**measured["corpora"], **{name: measured[name] for name in LEFT_OUT_MEANS if name in measured}}
    head = "".join(f'<th scope="col">{escape(phrases(f"models.{kind}"))}</th>' for kind in LEFT_OUT_KINDS)
    body = "".join(
        f'<tr><th scope="row">{escape(phrases.known(f"models.{name}", name))}</th>'
        + "".join(f"<td>{_value(kinds.get(kind, {}), 'uar', phrases) or '–'}</td>" for kind in LEFT_OUT_KINDS)
        + "</tr>"
        for name, kinds in rows.items()
    )
    test = escape(phrases("models.test"))
    table = f'<thead><tr><th scope="col">{test}</th>{head}</tr></thead><tbody>{body}</tbody>'
    command = f'<p class="provenance"><code>{escape(measured["command"])}</code></p>'
    return f"{_table(phrases('models.left_out'), table)}{command}"


def _results(protocol: Any, phrases: Phrases) -> list[tuple[str, Mapping[str, Any]]]:
    """The results in a protocol: pairs of what was tested and its measures."""
    if not isinstance(protocol, Mapping):
        return []
    rows = [(phrases("models.all_speakers"), protocol)] if _has_measures(protocol, phrases) else []
    rows += [(name, part) for name, part in protocol.items() if name not in MEASURES]
    for group in GROUPS:
        for name, part in [("", protocol), *protocol.items()]:
            if isinstance(part, Mapping) and isinstance(part.get(group), Mapping):
                rows += [
                    (f"{name + ', ' if name else ''}{_group_name(group, subset, phrases)}", result)
                    for subset, result in part[group].items()
                ]
    return [(name, part) for name, part in rows if _has_measures(part, phrases)]


def _group_name(group: str, name: str, phrases: Phrases) -> str:
    """The displayed name of the part `name` of the test clips."""
    return phrases(f"models.{group}", group=phrases.known(f"models.{name}", name.replace("_", " ")))


def _has_measures(result: Any, phrases: Phrases) -> bool:
    """Whether `result` has any of MEASURES."""
    return isinstance(result, Mapping) and any(_value(result, key, phrases) for key in MEASURES)


def _value(result: Mapping[str, Any], key: str, phrases: Phrases) -> str:
    """A measure in percent with its interval, if it has one; empty if it was not taken.

    >>> english = words.PHRASES["en"]
    >>> _value({"uar": {"mean": 76.33, "ci95": [71.9, 80.8]}}, "uar", english)
    '76.3 (71.9–80.8)'
    >>> _value({"uar": 51.49, "uar_ci95": [46.58, 56.4]}, "uar", english)
    '51.5 (46.6–56.4)'
    """
    value, interval = result.get(key), result.get(f"{key}_ci95")
    if isinstance(value, Mapping):
        value, interval = value.get("mean"), value.get("ci95")
    if not isinstance(value, int | float):
        return ""
    text = phrases.number(value, 1)
    return text + (f" ({'–'.join(phrases.number(end, 1) for end in interval)})" if interval else "")


def _speakers(speakers: Any, phrases: Phrases) -> str:
    """The best and the worst speakers, if each speaker was measured."""
    if not isinstance(speakers, Mapping) or not speakers:
        return ""
    ranked = sorted(speakers.items(), key=lambda item: -item[1])

    def names_and_shares(group: Sequence[tuple[str, float]]) -> str:
        return ", ".join(f"{name} {share:.0f}" for name, share in group)

    best, worst = names_and_shares(ranked[:NAMED_SPEAKERS]), names_and_shares(ranked[::-1][:NAMED_SPEAKERS])
    return f"<p>{escape(phrases('models.speakers', count=len(ranked), best=best, worst=worst))}</p>"


def _provenance(protocol: Mapping[str, Any], phrases: Phrases) -> str:
    """How the numbers were obtained, in a line. Texts of the checkpoint are English."""
    parts = []
    if protocol.get("trained_on"):
        parts.append(escape(phrases("models.corpora", corpora=", ".join(protocol["trained_on"]))))
    for name in ("selection", "interval"):
        if protocol.get(name):
            parts.append(phrases(f"models.{name}", **{name: _english(protocol[name])}))
    sentence = "; ".join(parts)
    command = f"<code>{escape(protocol['command'])}</code>" if protocol.get("command") else ""
    return f'<p class="provenance">{sentence[:1].upper() + sentence[1:]} {command}</p>'


def _calibration(calibration: Mapping[str, Any] | None, phrases: Phrases) -> str:
    """How reliable the confidences are."""
    if not calibration or not {"ece", "threshold", "answered", "accuracy_of_answered"} <= set(calibration):
        return ""
    sentence = phrases(
        "models.calibration",
        error=phrases.percent(calibration["ece"], 1),
        threshold=phrases.percent(calibration["threshold"]),
        answered=phrases.percent(calibration["answered"] / 100),
        right=phrases.percent(calibration["accuracy_of_answered"] / 100),
    )
    return f"<p>{escape(sentence)}</p>"


def _confusion(model: Bundle, phrases: Phrases) -> str:
    """The confusion matrix in clips; a cell's colour is its share of the row."""
    path = model.path and model.path / CONFUSION
    if not path or not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        (_, *predicted), *lines = csv.reader(file)
    head = "".join(f'<th scope="col">{escape(phrases.emotion(label))}</th>' for label in predicted)
    rows = "".join(
        f'<tr><th scope="row">{escape(phrases.emotion(target))}</th>'
        f"{''.join(_shares(list(map(int, counts))))}</tr>"
        for target, *counts in lines
    )
    corner = escape(phrases("models.meant"))
    table = f'<thead><tr><th scope="col">{corner}</th>{head}</tr></thead><tbody>{rows}</tbody>'
    return _table(phrases("models.confusion"), table, "confusion")


def _shares(counts: Sequence[int]) -> Iterator[str]:
    """The cells of a row of the confusion matrix."""
    total = sum(counts) or 1
    for count in counts:
        yield f'<td style="--share: {100 * count / total:.0f}%">{count}</td>'


def _limits(model: Bundle, phrases: Phrases) -> str:
    """The limits of use in the checkpoint's model card, in English."""
    path = model.path and model.path / CARD
    if not path or not path.is_file():
        return ""
    paragraphs = "".join(f'<p lang="en">{escape(paragraph)}</p>' for paragraph in _section(path, LIMITS))
    return f"<h4>{escape(phrases('models.limits'))}</h4>{paragraphs}" if paragraphs else ""


def _section(card: Path, heading: str) -> list[str]:
    """The paragraphs under the first heading of `card` that begins with `heading`."""
    lines = card.read_text(encoding="utf-8").splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith(heading)), len(lines)) + 1
    end = next((at for at in range(start, len(lines)) if lines[at].startswith("## ")), len(lines))
    return [" ".join(part.split()) for part in "\n".join(lines[start:end]).split("\n\n") if part.strip()]


def _table(title: str, content: str, kind: str = "results") -> str:
    """A table that scrolls by itself in a narrow window, also by keyboard."""
    name = escape(title)
    return (
        f'<div class="model-table {kind}" role="region" tabindex="0" aria-label="{name}">'
        f"<table><caption>{name}</caption>{content}</table></div>"
    )
