"""Summaries of checkpoints for the command line, the page and the API."""

from collections.abc import Mapping
from typing import Any

from ser_core.checkpoint.bundle import Bundle

HEADLINE = "ravdess_5fold"  # the protocol in metrics.json that a model's accuracy is quoted from


def described(bundle: Bundle) -> dict[str, Any]:
    """The summary of a checkpoint, as `models` prints it; accuracy in percent, None if not measured."""
    return {
        "name": bundle.name,
        "version": bundle.version,
        "architecture": bundle.architecture,
        "parameters": bundle.parameters,
        "size_bytes": bundle.size_bytes,
        "labels": list(bundle.labels),
        "training_data": list(bundle.training_data),
        "licence": bundle.licence,
        "accuracy": accuracy(bundle.metrics.get("protocols", {})),
    }


def accuracy(protocols: Mapping[str, Any]) -> dict[str, Any] | None:
    """The accuracy to quote for a checkpoint: on unseen actors of RAVDESS, else on unseen speakers, else any.

    `protocols`: results by protocol, as in metrics.json. None if there is no accuracy.
    """
    measured = {
        name: result for name, result in protocols.items() if isinstance(result.get("accuracy"), Mapping)
    }
    if not measured:
        return None

    def rank(name: str) -> tuple[bool, bool]:
        return name != HEADLINE, bool(measured[name].get("speaker_dependent"))

    name = min(measured, key=rank)
    return {
        "protocol": name,
        "speaker_dependent": bool(measured[name].get("speaker_dependent")),
        "mean": measured[name]["accuracy"]["mean"],
        "ci95": measured[name]["accuracy"]["ci95"],
    }


def setting(protocol: str, speaker_dependent: bool, **_: object) -> str:
    """A text that says on what an accuracy was measured."""
    if protocol == HEADLINE:
        return "RAVDESS, five folds, actors unseen"
    return f"{protocol}, " + (
        "speaker-dependent: tested on voices it was trained on" if speaker_dependent else "speakers unseen"
    )
