"""Every network learns real speech by heart, survives saving, and serves the recogniser."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import SAMPLE_RATE, SHARED, syllables, tiny_encoder
from torch import nn

from ser_core.audio.decode import decode
from ser_core.audio.vad import segment
from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS, canonical
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.registry import ARCHITECTURES, build
from ser_core.models.speech_encoder import ENCODERS
from ser_core.recognition.recognizer import Recognizer

CLIPS_A_CLASS = 4
CLIP_SAMPLES = (
    SAMPLE_RATE * 5 // 10
)  # of the middle of the speech: enough to tell 32 clips apart, quick to learn
LEARNED = 0.95  # share of the clips
BATCH_SIZE = 8
MAX_EPOCHS = 30
HEAD_EPOCHS = 1000  # of a head alone, on what a random network makes of the clips: quick, but a dim view
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
TINY = "TINY_WAV2VEC2"  # beside the published encoders for as long as a test runs
TRANSFER = {  # random in place of published weights: sizes and the path through the program are real
    "vgg16_transfer": {"frozen": True},
    "vggish_transfer": {"frozen": True},
    "speech_encoder": {"bundle": TINY},
}
# Theirs stay as they were published: only what stands behind them learns.
ADAPTIVE = ["whisper_base_adaptive", "whisper_tiny_adaptive", "whisper_tiny_distilled"]
PUBLISHED = ["whisper_tiny", "whisper_tiny_probe", *ADAPTIVE]
# The classes of whisper_tiny and whisper_base_adaptive in another size: a third of the time of this file.
LARGER = {"whisper_base", "whisper_base_campplus_adaptive"}


@dataclass
class Trained:
    """A network that was shown the clips, and the checkpoint it was saved as."""

    model: nn.Module
    features: torch.Tensor  # (clip, band, frame)
    lengths: torch.Tensor  # (clip,)
    logits: torch.Tensor  # (clip, class)
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


@pytest.fixture(scope="module", params=[*FROM_SCRATCH, *TRANSFER, *PUBLISHED])
def trained(request, clips, targets, tmp_path_factory) -> Iterator[Trained]:
    name, options = request.param, TRANSFER.get(request.param, {})
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, TINY, tiny_encoder)
        model = build(name, len(LABELS), **options)
        features, lengths = FeatureExtractor(model.features)(*pad([torch.from_numpy(clip) for clip in clips]))
        if name in PUBLISHED:
            load_published(model, name, features, lengths)
        if options.get("frozen"):  # what the head sees never changes: once is enough
            with torch.no_grad():
                embeddings = model.eval().embed(features, lengths)
            learn(model.head, (embeddings,), targets, 1e-3, HEAD_EPOCHS)
        else:
            learn(model, (features, lengths), targets, 1e-3 if name in PUBLISHED else 5e-4)
        folder = tmp_path_factory.mktemp("checkpoint") / name
        bundle.save(folder, Bundle(name, "1", name, LABELS, model.features, options), model)
        yield Trained(model, features, lengths, logits_of(model, features, lengths), folder)


def load_published(model, name, features, lengths) -> None:
    """The encoder as it was published, which does not learn; what the probe sees is brought to one scale."""
    weights = SHARED / "weights" / f"{'_'.join(name.split('_')[:2])}_encoder.safetensors"
    if not weights.is_file():
        pytest.skip(f"needs {weights.name} of ../shared/weights: a random encoder is no use to its head")
    tuned = getattr(model, "tuned", model)
    tuned.load_pretrained(weights)
    tuned.encoder.requires_grad_(False)
    if tuned is not model:
        model.published.load_state_dict(tuned.encoder.state_dict())
        model.published.requires_grad_(False)
        with torch.no_grad():
            rows = model.statistics(features, lengths)
        model.mean.copy_(rows.mean(0))
        model.scale.copy_(rows.std(0) + 1e-3)
    if name in ADAPTIVE:
        with torch.no_grad():
            rows = model.embed(features, lengths)
        model.mean.copy_(rows.mean(0))
        model.deviation.copy_(rows.std(0) + 1e-3)


@torch.enable_grad()
def learn(network, inputs, targets, rate, epochs=MAX_EPOCHS) -> None:
    """Adam without dropout, until the clips are known by heart or `epochs` are over."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for epoch in range(1, epochs + 1):
        network.train()
        for rows in torch.randperm(len(targets)).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(network(*(part[rows] for part in inputs)), targets[rows]).backward()
            optimizer.step()
        if epoch % LOOK_EVERY == 0 and right(logits_of(network, *inputs), targets) > LEARNED:
            return


def logits_of(network, *inputs) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(*inputs)


def right(scores: torch.Tensor, targets: torch.Tensor) -> float:
    return (scores.argmax(-1) == targets).float().mean().item()


def test_no_architecture_is_left_out():
    assert {*FROM_SCRATCH, *TRANSFER, *PUBLISHED, *LARGER} == set(ARCHITECTURES)


def test_it_learns_32_clips_by_heart(trained, targets):
    assert right(trained.logits, targets) >= LEARNED


def test_its_checkpoint_gives_the_same_logits(trained):
    described, loaded = bundle.load(trained.folder)
    after = logits_of(loaded, trained.features, trained.lengths)
    assert described.features == trained.model.features
    torch.testing.assert_close(after, trained.logits, atol=2e-2, rtol=1e-2)  # weights are kept in float16


def test_the_recogniser_hears_with_it_what_it_learned(trained, clips, targets):
    probabilities = Recognizer.load(trained.folder, "cpu").probabilities(clips)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(clips)))
    assert right(torch.from_numpy(probabilities), targets) >= LEARNED
