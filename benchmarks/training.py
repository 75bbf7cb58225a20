"""Speed of a training epoch: `python -m benchmarks.training` prints the table, writes results/training.json.

One network, `parallel_2cnn_transformer`, is trained on the same clips in batches of the same size, from files
to the last step. Ours: speech and features from the feature cache (empty at first, then filled), batches of
similar length, bfloat16 as in `fit`. The lineage's (the earlier projects'): for every clip `librosa.load` and
`librosa.feature.mfcc` of a 3 s window, one at a time, without cache, its own layers, float32. Between them:
our layers with the lineage's features. Nothing is augmented. Each round runs all pipelines; figures are
medians of rounds.
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

from benchmarks.baselines import (
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
PIPELINES = {
    "lineage": "the lineage's way",
    "lineage_feeding": "the lineage's way, our layers",
    "cold": "ours, empty cache",
    "warm": "ours, filled cache",
}

Batch = tuple[Tensor, Tensor, Tensor]  # features (batch, band, frame), lengths (batch,), targets (batch,)


@dataclass
class Epoch:
    """Seconds of one epoch: waiting for features, and in training steps."""

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
        dataset, source = some_clips(clips, Path(folder))
        files = partial(from_lineage, dataset, batch_size)
        pipelines: dict[str, Callable[[], Epoch]] = {
            "lineage": lambda: epoch(files(), LineageLayers(), precise=True),
            "lineage_feeding": lambda: epoch(files(), network(), precise=True),
            "cold": lambda: epoch(ours(dataset, batch_size, Path(tempfile.mkdtemp(dir=folder))), network()),
            "warm": lambda: epoch(ours(dataset, batch_size, Path(folder) / "filled"), network()),
        }
        for run in pipelines.values():  # compiles librosa's numba, chooses kernels, fills the warm cache
            run()
        measured: dict[str, list[Epoch]] = {name: [] for name in pipelines}
        for _ in range(rounds):
            for name, run in pipelines.items():
                measured[name].append(run())
    report = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "clips": len(dataset),
        "speech": source,
        "batch_size": batch_size,
        "rounds": rounds,
        "architecture": ARCHITECTURE,
        "parameters": {name: size(of) for name, of in (("lineage", LineageLayers()), ("ours", network()))},
        **{name: described(epochs, len(dataset)) for name, epochs in measured.items()},
    }
    for name in PIPELINES:
        report[name]["times_lineage"] = report[name]["clips_a_second"] / report["lineage"]["clips_a_second"]
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))


def some_clips(count: int, folder: Path) -> tuple[list[Clip], str]:
    """`count` clips of RAVDESS, spread over its actors; generated vowels where it is absent."""
    if (DATA / "ravdess").is_dir():
        every = corpora.read(DATA, ["ravdess"])
        return every[:: max(1, len(every) // count)][:count], "RAVDESS"
    files = clip_paths(folder)
    return [
        Clip("generated", next(files), f"generated/{i}", "", LABELS[i % len(LABELS)], "")
        for i in range(count)
    ], "generated vowels"


def network() -> nn.Module:
    """Our network, with the same random weights each time."""
    torch.manual_seed(0)
    return build(ARCHITECTURE, len(LABELS))


def size(module: nn.Module) -> int:
    """The number of parameters of `module`."""
    return sum(parameter.numel() for parameter in module.parameters())


class LineageLayers(nn.Module):
    """The lineage's own layers, which ignore `lengths`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = LineageNetwork()

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from MFCC `(batch, 40, 282)`."""
        logits: Tensor = self.layers(features)
        return logits


def ours(clips: Sequence[Clip], batch_size: int, folder: Path) -> Iterator[Batch]:
    """The batches of an epoch as `fit` makes them."""
    spec = network().features
    classes = {clip.corpus: LABELS for clip in clips}
    dataset = SpeechDataset(clips, spec, LABELS, classes, FeatureCache(folder))
    for indices in LengthBatches(dataset, batch_size, shuffle=True):
        batch = dataset.collate(indices)
        yield batch.features, batch.lengths, batch.targets


def from_lineage(clips: Sequence[Clip], batch_size: int) -> Iterator[Batch]:
    """The batches of an epoch as the lineage's notebooks make them."""
    order = np.random.default_rng(0).permutation(len(clips))
    for indices in chunks(order, batch_size):
        features = torch.from_numpy(np.stack([lineage_features(clips[i].path) for i in indices]))
        lengths = torch.full((len(indices),), features.shape[-1])
        yield features, lengths, torch.tensor([LABELS.index(clips[i].emotion) for i in indices])


def lineage_features(path: Path) -> np.ndarray:
    """40 MFCC of the first 3 s at 48 kHz, zero-padded: shape (40, 282)."""
    window = int(LINEAGE_WINDOW_S * LINEAGE_RATE)
    samples, _ = librosa.load(path, sr=LINEAGE_RATE, duration=LINEAGE_WINDOW_S)
    samples = np.pad(samples, (0, window - len(samples)))
    return librosa.feature.mfcc(
        y=samples, sr=LINEAGE_RATE, n_mfcc=LINEAGE_MFCC, n_fft=LINEAGE_FFT, hop_length=LINEAGE_HOP
    )


def epoch(batches: Iterator[Batch], model: nn.Module, precise: bool = False) -> Epoch:
    """Trains `model` for one epoch of `batches`; with `precise` in float32 throughout."""
    optimizer = torch.optim.AdamW(model.train().parameters(), LEARNING_RATE)
    times = Epoch()
    started = time.perf_counter()
    for batch in batches:
        features_ready = time.perf_counter()
        step(model, optimizer, batch, precise)
        step_done = time.perf_counter()
        times.feeding_s += features_ready - started
        times.steps_s += step_done - features_ready
        times.steps += 1
        started = step_done
    return times


def step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, precise: bool) -> None:
    """One update of the weights."""
    features, lengths, targets = batch
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        loss = F.cross_entropy(model(features, lengths), targets)
    loss.backward()
    optimizer.step()


def described(epochs: Sequence[Epoch], clips: int) -> dict[str, float]:
    """Medians over the rounds."""
    return {
        "clips_a_second": median(clips / (times.feeding_s + times.steps_s) for times in epochs),
        "epoch_s": median(times.feeding_s + times.steps_s for times in epochs),
        "feeding_ms_a_clip": median(1e3 * times.feeding_s / clips for times in epochs),
        "step_ms": median(1e3 * times.steps_s / times.steps for times in epochs),
    }


def table(report: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    lines = [
        f"{report['architecture']}, {report['clips']} clips ({report['speech']}), batches of "
        f"{report['batch_size']}, {report['machine']['cpu']}, {report['threads']} threads; medians of "
        f"{report['rounds']} epochs",
        "",
        "| fed | clips a second | times the lineage | features, ms a clip | step, ms |",
        "|---|---|---|---|---|",
    ]
    for key, name in PIPELINES.items():
        row = report[key]
        lines.append(
            f"| {name} | {row['clips_a_second']:.1f} | {row['times_lineage']:.1f} "
            f"| {row['feeding_ms_a_clip']:.1f} | {row['step_ms']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # so that `python benchmarks/training.py` finds the packages too
    typer.run(main)
