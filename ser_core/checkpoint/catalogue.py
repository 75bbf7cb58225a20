"""What is told of a checkpoint, the same on the command line, in the page and over the API."""

from collections.abc import Mapping
from typing import Any

from ser_core.checkpoint.bundle import Bundle

HEADLINE = "ravdess_5fold"  # the protocol in metrics.json that a model's accuracy is quoted from


def described(bundle: Bundle) -> dict[str, Any]:
    """What `models` says about a checkpoint; accuracy in percent, None where it was not measured."""
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
    """The accuracy a checkpoint is known by: on unseen actors of RAVDESS, else on unseen voices, else any."""
    measured = {
        name: found for name, found in protocols.items() if isinstance(found.get("accuracy"), Mapping)
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
    """What an accuracy was measured on, in words."""
    if protocol == HEADLINE:
        return "RAVDESS, five folds, actors unseen"
    return f"{protocol}, " + (
        "speaker-dependent: tested on voices it was trained on" if speaker_dependent else "speakers unseen"
    )
