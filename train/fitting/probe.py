"""Fits a linear probe of the published encoder on the training part, next to a fine-tuned model."""

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.registry import build
from ser_core.models.whisper_probe import WhisperProbe
from train.corpora import Clip, classes_of
from train.data.cache import FeatureCache
from train.data.speech import FULL_SCALE
from train.fitting.loss import MASKED
from train.recipe import Recipe

ITERATIONS = 80  # of L-BFGS


def add_probe(
    tuned: nn.Module, recipe: Recipe, clips: Sequence[Clip], cache: FeatureCache = FeatureCache()
) -> WhisperProbe:
    """`tuned` with a probe of its recipe's published encoder, fitted on `clips`."""
    model = _published(recipe.architecture, recipe.pretrained)
    model.tuned.load_state_dict(tuned.state_dict())
    rows = torch.stack([_statistics(recipe.architecture, recipe.pretrained, clip, cache) for clip in clips])
    model.mean.copy_(rows.mean(0))
    model.scale.copy_(rows.std(0) + 1e-3)
    classes = classes_of(clips)
    allowed = torch.tensor([[label in classes[clip.corpus] for label in LABELS] for clip in clips])
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    weights = torch.tensor([recipe.probe_share.get(clip.corpus, 1.0) for clip in clips])
    fit_linear(model.probe, (rows - model.mean) / model.scale, targets, allowed, weights, recipe.probe_decay)
    return model


def fit_linear(
    linear: nn.Linear, rows: Tensor, targets: Tensor, allowed: Tensor, weights: Tensor, decay: float
) -> None:
    """Multinomial logistic regression in place: class-masked, weighted by clip, `decay` on squared weights.

    `rows` `(clip, input)`, `targets` `(clip,)`, `allowed` `(clip, class)` bool, `weights` `(clip,)`.
    """
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.LBFGS(
        linear.parameters(), max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = linear(rows).masked_fill(~allowed, MASKED)
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        loss = (losses * weights).sum() / weights.sum() + decay * linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)


@functools.cache
def _published(architecture: str, pretrained: str) -> WhisperProbe:
    """The probe model with the published encoder; cached, as it is the same for all folds."""
    source = build(architecture, len(LABELS))
    source.load_pretrained(Path(pretrained))
    model = build(f"{architecture}_probe", len(LABELS))
    model.published.load_state_dict(source.encoder.state_dict())
    return model.eval()


@functools.cache
def _statistics(architecture: str, pretrained: str, clip: Clip, cache: FeatureCache) -> Tensor:
    """The probe's input for a clip, `(input,)`; cached, as the encoder is the same for all folds."""
    model = _published(architecture, pretrained)
    (speech,) = cache.speech([clip])
    samples = torch.from_numpy(speech / FULL_SCALE)
    with torch.inference_mode():
        return model.statistics(*FeatureExtractor(model.features)(*pad([samples])))[0].clone()
