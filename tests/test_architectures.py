"""Every network learns real speech by heart, survives saving, and serves the recogniser."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import SAMPLE_RATE, syllables
from torch import nn

from ser_core import bundle
from ser_core.audio import decode
from ser_core.bundle import Bundle
from ser_core.emotions import LABELS, canonical
from ser_core.features import FeatureExtractor, pad
from ser_core.models import build
from ser_core.recognizer import Recognizer
from ser_core.vad import segment

SHARED = Path(__file__).parents[2] / "shared"
CLIPS_A_CLASS = 4
CLIP_SAMPLES = (
    SAMPLE_RATE * 8 // 10
)  # of the middle of the speech: enough to tell 32 clips apart, quick to learn
LEARNED = 0.95  # share of the clips
BATCH_SIZE = 8
MAX_EPOCHS = 30
LOOK_EVERY = 3  # epochs, at whether it is learned
FROM_SCRATCH = [
    "cnn_lstm",
    "stacked_cnn_lstm",
    "stacked_cnn_attention_lstm",
    "parallel_cnn_transformer",
    "parallel_cnn_blstm_attention",
    "parallel_2cnn_transformer",
    "coattention_mfcc_mel",
    "cnn16_transformer",
    "cnn_bilstm_attention",
    "parallel_transformer_attention_lstm",
]
ENCODERS = ["whisper_tiny", "whisper_base"]  # theirs stay as they were published: only the head learns


@dataclass
class Trained:
    """A network that was shown the clips, and the checkpoint it was saved as."""

    model: nn.Module
    features: torch.Tensor  # (clip, band, frame)
    lengths: torch.Tensor  # (clip,)
    folder: Path


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Four clips of each of LABELS, in their order: RAVDESS, else vowels of eight pitches."""
    table = SHARED / "data" / "ravdess" / "metadata.csv"
    if not table.is_file():
        speech = [syllables(1, seed=i, pitch_hz=90 * 1.2 ** (i // CLIPS_A_CLASS)) for i in range(32)]
        return [samples[SAMPLE_RATE // 2 :][:CLIP_SAMPLES] for samples in speech]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for label in LABELS:
        own = [row["file"] for row in rows if canonical(row["emotion"]) == label]
        chosen += own[:: len(own) // CLIPS_A_CLASS][:CLIPS_A_CLASS]
    return [middle_of_speech(table.parent / name) for name in chosen]


def middle_of_speech(path: Path) -> np.ndarray:
    waveform = decode(path)
    spans = segment(waveform)
    start = max(0, (spans[0].start + spans[-1].end - CLIP_SAMPLES) // 2)
    return waveform.samples[start : start + CLIP_SAMPLES]


@pytest.fixture(scope="module")
def targets() -> torch.Tensor:
    return torch.arange(len(LABELS)).repeat_interleave(CLIPS_A_CLASS)


@pytest.fixture(scope="module", params=FROM_SCRATCH + ENCODERS)
def trained(request, clips, targets, tmp_path_factory) -> Trained:
    torch.manual_seed(0)
    model = build(request.param, len(LABELS))
    rate = 5e-4
    if request.param in ENCODERS:
        weights = SHARED / "weights" / f"{request.param}_encoder.safetensors"
        if not weights.is_file():
            pytest.skip(f"needs {weights.name} of ../shared/weights: a random encoder is no use to its head")
        model.load_pretrained(weights)
        model.encoder.requires_grad_(False)
        rate = 1e-3
    features, lengths = FeatureExtractor(model.features)(*pad([torch.from_numpy(clip) for clip in clips]))
    learn(model, features, lengths, targets, rate)
    folder = tmp_path_factory.mktemp("checkpoint") / request.param
    bundle.save(folder, Bundle(request.param, "1", request.param, LABELS, model.features), model)
    return Trained(model, features, lengths, folder)


def learn(model, features, lengths, targets, rate) -> None:
    """Adam without dropout, until the clips are known by heart or MAX_EPOCHS are over."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for epoch in range(1, MAX_EPOCHS + 1):
        model.train()
        for rows in torch.randperm(len(targets)).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(model(features[rows], lengths[rows]), targets[rows]).backward()
            optimizer.step()
        if epoch % LOOK_EVERY == 0 and right(logits_of(model, features, lengths), targets) > LEARNED:
            return


def logits_of(model, features, lengths) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(features, lengths)


def right(scores: torch.Tensor, targets: torch.Tensor) -> float:
    return (scores.argmax(-1) == targets).float().mean().item()


def test_it_learns_32_clips_by_heart(trained, targets):
    assert right(logits_of(trained.model, trained.features, trained.lengths), targets) >= LEARNED


def test_its_checkpoint_gives_the_same_logits(trained):
    described, loaded = bundle.load(trained.folder)
    before = logits_of(trained.model, trained.features, trained.lengths)
    after = logits_of(loaded, trained.features, trained.lengths)
    assert described.features == trained.model.features
    torch.testing.assert_close(after, before, atol=2e-2, rtol=1e-2)  # weights are kept in float16


def test_the_recogniser_hears_with_it_what_it_learned(trained, clips, targets):
    heard = Recognizer.load(trained.folder, "cpu").probabilities(clips)
    assert heard.sum(axis=1) == pytest.approx(np.ones(len(clips)))
    assert right(torch.from_numpy(heard), targets) >= LEARNED
