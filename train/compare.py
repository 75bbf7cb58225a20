"""Runs and protocols side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.corpora import CorpusError


def table(folders: Sequence[Path]) -> str:
    """A Markdown table of runs and protocols: accuracy and UAR in percent, with intervals.

    Raises CorpusError for a folder without results.
    """
    rows = ["| run | test | accuracy | UAR | macro-F1 | ECE |", "|---|---|---|---|---|---|"]
    for folder in folders:
        protocol, metrics = folder / "protocol.json", folder / "metrics.json"
        path = protocol if protocol.is_file() else metrics
        if not path.is_file():
            raise CorpusError(f"{folder} has no results yet")
        found = json.loads(path.read_text(encoding="utf-8"))
        rows += _rows(folder, found)
    return "\n".join(rows)


def _rows(folder: Path, found: dict[str, Any]) -> list[str]:
    name = "/".join(folder.parts[-2:])
    if "folds" in found:
        accuracy, uar = (
            _with_interval(found[key]["mean"], found[key]["ci95"]) for key in ("accuracy", "uar")
        )
        f1, ece = found["macro_f1"]["mean"], found["ece"]["mean"]
        test = found.get("protocol", "RAVDESS five folds")
        return [f"| {name} | {test} | {accuracy} | {uar} | {f1} | {ece} |"]
    if "mean_uar" in found:
        corpora = {key: value for key, value in found.items() if isinstance(value, dict)}
        return [
            f"| {name} | {corpus}, unseen | {value['accuracy']} | "
            f"{_with_interval(value['uar'], value['uar_ci95'])} | | |"
            for corpus, value in corpora.items()
        ] + [f"| {name} | mean of the corpora | | {found['mean_uar']} | | |"]
    if "accuracy" not in found:
        return [f"| {name} | none: trained on everyone | | | | |"]
    accuracy, uar = (_with_interval(found[key], found[f"{key}_ci95"]) for key in ("accuracy", "uar"))
    return [f"| {name} | {found['split']} | {accuracy} | {uar} | {found['macro_f1']} | {found['ece']} |"]


def _with_interval(value: float, ci95: Sequence[float]) -> str:
    return f"{value:.1f} ({ci95[0]:.1f}–{ci95[1]:.1f})"
