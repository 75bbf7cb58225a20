"""Evaluates a checkpoint on whole corpora, such as those outside its training data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.corpora import Clip, classes_of
from train.data.cache import FeatureCache
from train.reports import evaluate, sessions
from train.reports.evaluate import Predictions

ALONE = "by_themselves"


def measure(
    checkpoint: str, clips: Sequence[Clip], cache: FeatureCache = FeatureCache()
) -> tuple[dict[str, Any], Predictions]:
    """Metrics of all clips and of each corpus, and the predictions for clips by themselves.

    A session-adaptive model is also evaluated as `analyze --one-voice` and `--alike` use it: each clip in a
    session with all others of its speaker, and in one with all others of its corpus. Raises BundleError for a
    checkpoint that cannot be loaded, and what `cache` raises.
    """
    bundle, model = bundles.load(checkpoint)
    extract = FeatureExtractor(bundle.features)
    session_predictions: dict[str, Predictions] = {}
    unfamiliar = np.zeros(len(clips), dtype=bool)
    if isinstance(model, WhisperAdaptive):
        embeddings = evaluate.network_outputs(model.embed, extract, clips, "cpu", cache)
        unfamiliar = ~model.familiar(embeddings).numpy()
        alone = sessions.by_themselves(model, clips, embeddings)
        speakers = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
        session_predictions["one_voice"] = sessions.together(model, alone, embeddings, speakers)
        session_predictions["alike"] = sessions.together(model, alone, embeddings, alone.corpora)
    else:
        alone = evaluate.predict(model, extract, clips, "cpu", cache)
    training_corpora = {entry.split(" ")[0] for entry in bundle.training_data}
    metrics: dict[str, Any] = dict(evaluate.measure(alone, bundle.temperature))
    metrics |= {"trained_on": sorted(training_corpora & set(alone.corpora)), "corpora": {}}
    for corpus, classes in classes_of(clips).items():
        rows = [row for row, name in enumerate(alone.corpora) if name == corpus]
        metrics["corpora"][corpus] = {
            "trained_on": corpus in training_corpora,
            "classes": list(classes),
            "unfamiliar": evaluate.percent(float(unfamiliar[rows].mean())),
            **{
                way: _measured(evaluate.rows_of(predictions, rows), classes, bundle)
                for way, predictions in ({ALONE: alone} | session_predictions).items()
            },
        }
    return metrics, alone


def _measured(predictions: Predictions, classes: Sequence[str], bundle: Bundle) -> dict[str, Any]:
    """Metrics among all classes and among `classes` alone, and those with abstention."""
    metrics = dict(evaluate.measure(predictions, bundle.temperature))
    if len(classes) < len(LABELS):
        shared_classes = evaluate.measure(evaluate.among(predictions, classes))
        keys = ("accuracy", "uar", "uar_ci95")
        metrics |= {f"{key}_among_its_classes": shared_classes[key] for key in keys}
    return metrics | evaluate.answers(predictions, bundle.temperature, bundle.threshold)
