"""How fast an epoch is: `python -m benchmarks.training` prints the table and writes results/training.json.

One network, `parallel_2cnn_transformer`, learns the same clips in batches of the same size, from files to the
last step. Ours: speech and features from the feature cache (empty at first, then filled), batches of similar
length, bfloat16 as in `fit`. The lineage's: for every clip `librosa.load` and `librosa.feature.mfcc` of a 3 s
window, one at a time, nothing kept, its own layers as it writes them, float32. Between them, our layers fed
the lineage's way. Nothing is augmented. The ways take turns in every round; numbers are medians of rounds.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import librosa
import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from benchmarks.rivals import (
    LINEAGE_FFT,
    LINEAGE_HOP,
    LINEAGE_MFCC,
    LINEAGE_RATE,
    LINEAGE_WINDOW_S,
    LineageNetwork,
)
from benchmarks.speed import ROOT, clip_paths, machine
from ser_core.emotions import LABELS
from ser_core.models.registry import build
from train import corpora
from train.corpora import Clip
from train.data.cache import FeatureCache
from train.data.dataset import LengthBatches, SpeechDataset, chunks

ARCHITECTURE = "parallel_2cnn_transformer"
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results" / "training.json"
LEARNING_RATE = 1e-3
WAYS = {
    "lineage": "the lineage's way",
    "lineage_feeding": "the lineage's way, our layers",
    "cold": "ours, empty cache",
    "warm": "ours, filled cache",
}

Batch = tuple[Tensor, Tensor, Tensor]  # features (batch, band, frame), lengths (batch,), targets (batch,)


@dataclass
class Epoch:
    """Seconds of one epoch: until the features were there, and in the network's steps."""

    feeding_s: float = 0.0
    steps_s: float = 0.0
    steps: int = 0


def main(
    clips: Annotated[int, typer.Option(help="How many clips an epoch has.")] = 480,
    batch_size: Annotated[int, typer.Option(help="Clips a step.")] = 32,
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 3,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chosen, what = some_clips(clips, Path(folder))
        files = partial(from_lineage, chosen, batch_size)
        ways: dict[str, Callable[[], Epoch]] = {
            "lineage": lambda: epoch(files(), LineageLayers(), precise=True),
            "lineage_feeding": lambda: epoch(files(), network(), precise=True),
            "cold": lambda: epoch(ours(chosen, batch_size, Path(tempfile.mkdtemp(dir=folder))), network()),
            "warm": lambda: epoch(ours(chosen, batch_size, Path(folder) / "filled"), network()),
        }
        for way in ways.values():  # compiles librosa's numba, chooses kernels, fills the warm cache
            way()
        measured: dict[str, list[Epoch]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                measured[name].append(way())
    found = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "clips": len(chosen),
        "speech": what,
        "batch_size": batch_size,
        "rounds": rounds,
        "architecture": ARCHITECTURE,
        "parameters": {name: size(of) for name, of in (("lineage", LineageLayers()), ("ours", network()))},
        **{name: described(epochs, len(chosen)) for name, epochs in measured.items()},
    }
    for name in WAYS:
        found[name]["times_lineage"] = found[name]["clips_a_second"] / found["lineage"]["clips_a_second"]
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found))


def some_clips(count: int, folder: Path) -> tuple[list[Clip], str]:
    """`count` clips of RAVDESS, spread over its actors; generated vowels where it is not at hand."""
    if (DATA / "ravdess").is_dir():
        every = corpora.read(DATA, ["ravdess"])
        return every[:: max(1, len(every) // count)][:count], "RAVDESS"
    files = clip_paths(folder)
    return [
        Clip("generated", next(files), f"generated/{i}", "", LABELS[i % len(LABELS)], "")
        for i in range(count)
    ], "generated vowels"


def network() -> nn.Module:
    """Ours, with the same random weights each time."""
    torch.manual_seed(0)
    return build(ARCHITECTURE, len(LABELS))


def size(module: nn.Module) -> int:
    """How many parameters it has."""
    return sum(parameter.numel() for parameter in module.parameters())


class LineageLayers(nn.Module):
    """The lineage's own layers; it knows no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = LineageNetwork()

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from MFCC `(batch, 40, 282)`."""
        logits: Tensor = self.layers(features)
        return logits


def ours(clips: Sequence[Clip], batch_size: int, folder: Path) -> Iterator[Batch]:
    """An epoch as `fit` feeds it."""
    spec = network().features
    classes = {clip.corpus: LABELS for clip in clips}
    dataset = SpeechDataset(clips, spec, LABELS, classes, FeatureCache(folder))
    for indices in LengthBatches(dataset, batch_size, shuffle=True):
        batch = dataset.collate(indices)
        yield batch.features, batch.lengths, batch.targets


def from_lineage(clips: Sequence[Clip], batch_size: int) -> Iterator[Batch]:
    """An epoch as the lineage's notebooks feed it."""
    order = np.random.default_rng(0).permutation(len(clips))
    for indices in chunks(order, batch_size):
        features = torch.from_numpy(np.stack([lineage_features(clips[i].path) for i in indices]))
        lengths = torch.full((len(indices),), features.shape[-1])
        yield features, lengths, torch.tensor([LABELS.index(clips[i].emotion) for i in indices])


def lineage_features(path: Path) -> np.ndarray:
    """40 MFCC of the first 3 s at 48 kHz, silence behind a shorter clip: `(40, 282)`."""
    window = int(LINEAGE_WINDOW_S * LINEAGE_RATE)
    samples, _ = librosa.load(path, sr=LINEAGE_RATE, duration=LINEAGE_WINDOW_S)
    samples = np.pad(samples, (0, window - len(samples)))
    return librosa.feature.mfcc(
        y=samples, sr=LINEAGE_RATE, n_mfcc=LINEAGE_MFCC, n_fft=LINEAGE_FFT, hop_length=LINEAGE_HOP
    )


def epoch(batches: Iterator[Batch], learning: nn.Module, precise: bool = False) -> Epoch:
    """Trains `learning` on one epoch of `batches`; `precise`: in float32 throughout."""
    optimizer = torch.optim.AdamW(learning.train().parameters(), LEARNING_RATE)
    spent = Epoch()
    began = time.perf_counter()
    for batch in batches:
        fed = time.perf_counter()
        step(learning, optimizer, batch, precise)
        done = time.perf_counter()
        spent.feeding_s += fed - began
        spent.steps_s += done - fed
        spent.steps += 1
        began = done
    return spent


def step(learning: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, precise: bool) -> None:
    """One update of the weights."""
    features, lengths, targets = batch
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        loss = F.cross_entropy(learning(features, lengths), targets)
    loss.backward()
    optimizer.step()


def described(epochs: Sequence[Epoch], clips: int) -> dict[str, float]:
    """Medians over the rounds."""
    return {
        "clips_a_second": median(clips / (spent.feeding_s + spent.steps_s) for spent in epochs),
        "epoch_s": median(spent.feeding_s + spent.steps_s for spent in epochs),
        "feeding_ms_a_clip": median(1e3 * spent.feeding_s / clips for spent in epochs),
        "step_ms": median(1e3 * spent.steps_s / spent.steps for spent in epochs),
    }


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"{found['architecture']}, {found['clips']} clips ({found['speech']}), batches of "
        f"{found['batch_size']}, {found['machine']['cpu']}, {found['threads']} threads; medians of "
        f"{found['rounds']} epochs",
        "",
        "| fed | clips a second | times the lineage | features, ms a clip | step, ms |",
        "|---|---|---|---|---|",
    ]
    for way, name in WAYS.items():
        of = found[way]
        lines.append(
            f"| {name} | {of['clips_a_second']:.1f} | {of['times_lineage']:.1f} "
            f"| {of['feeding_ms_a_clip']:.1f} | {of['step_ms']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # so that `python benchmarks/training.py` finds the packages too
    typer.run(main)
