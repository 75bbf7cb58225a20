"""What a checkpoint is worth on whole corpora: the test for recordings that it never heard."""

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
    """Numbers of all clips and of each corpus, and what is heard in clips by themselves. Raises BundleError.

    A model that adapts is also tested as `analyze --one-voice` and `--alike` use it: each clip is judged with
    all others of its speaker, and with all others of its corpus.
    """
    bundle, model = bundles.load(checkpoint)
    extract = FeatureExtractor(bundle.features)
    ways: dict[str, Predictions] = {}
    unfamiliar = np.zeros(len(clips), dtype=bool)
    if isinstance(model, WhisperAdaptive):
        embeddings = evaluate.network_outputs(model.embed, extract, clips, "cpu", cache)
        unfamiliar = ~model.familiar(embeddings).numpy()
        alone = sessions.by_themselves(model, clips, embeddings)
        speakers = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
        ways["one_voice"] = sessions.together(model, alone, embeddings, speakers)
        ways["alike"] = sessions.together(model, alone, embeddings, alone.corpora)
    else:
        alone = evaluate.predict(model, extract, clips, "cpu", cache)
    trained = {entry.split(" ")[0] for entry in bundle.training_data}
    found: dict[str, Any] = dict(evaluate.measure(alone, bundle.temperature))
    found |= {"trained_on": sorted(trained & set(alone.corpora)), "corpora": {}}
    for corpus, classes in classes_of(clips).items():
        rows = [row for row, name in enumerate(alone.corpora) if name == corpus]
        found["corpora"][corpus] = {
            "trained_on": corpus in trained,
            "classes": list(classes),
            "unfamiliar": evaluate.percent(float(unfamiliar[rows].mean())),
            **{
                way: _measured(evaluate.rows_of(predictions, rows), classes, bundle)
                for way, predictions in ({ALONE: alone} | ways).items()
            },
        }
    return found, alone


def _measured(predictions: Predictions, classes: Sequence[str], bundle: Bundle) -> dict[str, Any]:
    """`evaluate.measure` with all answers open, what it is among `classes`, and what abstaining does."""
    found = dict(evaluate.measure(predictions, bundle.temperature))
    if len(classes) < len(LABELS):
        among = evaluate.measure(evaluate.among(predictions, classes))
        found |= {f"{key}_among_its_classes": among[key] for key in ("accuracy", "uar", "uar_ci95")}
    return found | evaluate.answers(predictions, bundle.temperature, bundle.threshold)
