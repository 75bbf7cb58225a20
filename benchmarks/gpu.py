"""A GPU from samples to probabilities: `python -m benchmarks.gpu` prints a table and writes results/gpu.json.

Clips are generated noise of 1 to 10 s in memory: cost does not depend on what is said. It needs torch,
torchaudio, safetensors and numpy alone, and runs on a CPU too (say `--hours 0.02`).

How far from the card's limits is reckoned, not measured: the operations are counted by torch while the
encoder runs (`FlopCounterMode`), the bytes are those of the weights, the samples and every activation written
and read once. What these take at the card's published peaks is the least time; its share of the measured time
is told.
"""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pages import renew
from ser_core.checkpoint import bundle as bundles
from ser_core.models.session import Session
from ser_core.recognition.torch_runtime import BATCH_SAMPLES, TorchRuntime, batches

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- gpu -->", "<!-- /gpu -->"
SAMPLE_RATE = 16_000  # Hz
SHORTEST_S, LONGEST_S = 1.0, 10.0
LATENCY_S = 3.0  # length of the single clip
CLIPS_A_SESSION = 100
# Operations and bytes a second as published: H200 SXM, dense, float32 without and bfloat16 with tensor cores.
PEAKS = {"H200": {"float32": 67e12, "tf32": 494e12, "bfloat16": 989e12, "bytes": 4.8e12}}
WAYS = {"float32": ("float32", "highest"), "tf32": ("float32", "high"), "bfloat16": ("bfloat16", "highest")}
# Values that a layer writes and reads for each of its steps, as multiples of its width: norm 1; query, key
# and value 3; attention 1; its projection and sum 2; norm 1; feed 4 + 4; its projection and sum 2.
VALUES_A_STEP = 18


def main(
    hours: Annotated[float, typer.Option(help="Length of all clips together.")] = 5.0,
    repeats: Annotated[int, typer.Option(help="Times everything is measured.")] = 5,
    batch_minutes: Annotated[str, typer.Option(help="Batch sizes to try, with padding.")] = "5,15,30,60,120",
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu")] = "auto",
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    write: Annotated[bool, typer.Option("--write", help="Into docs/speed.md too.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    """Prints and writes the table."""
    clips = generated(hours)
    found: dict[str, Any] = {"hours": sum(map(len, clips)) / SAMPLE_RATE / 3600, "clips": len(clips)}
    found |= {"repeats": repeats, "model": model, "ways": {}}
    exact: np.ndarray | None = None
    for way, (precision, matmul) in WAYS.items():
        torch.set_float32_matmul_precision(matmul)
        runtime = TorchRuntime(*bundles.load(model), device, precision)
        found["machine"] = machine(runtime.device)
        rows = runtime.probabilities(clips[:CLIPS_A_SESSION])  # noise gets even ones within a session
        exact = rows if exact is None else exact
        own = found["ways"][way] = {"furthest_from_float32": float(np.abs(rows - exact).max())}
        own["batches"] = {}
        for minutes in map(float, batch_minutes.split(",")):
            BATCH_SAMPLES[runtime.device.type] = int(minutes * 60 * SAMPLE_RATE)
            seconds = timed(runtime, lambda runtime=runtime: recognised(runtime, clips), repeats)
            own["batches"][f"{minutes:g}"] = found["hours"] * 3600 / seconds
        best = max(own["batches"], key=own["batches"].get)
        BATCH_SAMPLES[runtime.device.type] = int(float(best) * 60 * SAMPLE_RATE)
        own |= {"times_real_time": own["batches"][best], "best_batch_minutes": float(best)}
        own["latency_ms"] = 1e3 * latency(runtime, repeats)
        own["shares"] = shares(runtime, clips, repeats)
        own["limits"] = limits(runtime, clips, way, found["hours"] * 3600 / own["times_real_time"])
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found))
    if write:
        renew(PAGE, BEGIN, END, f"```\n{table(found)}\n```")


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else f"{device.type} ({platform.processor()})",
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def generated(hours: float) -> list[np.ndarray]:
    """Clips of noise, `(n_samples,)` each, `hours` long together."""
    rng = np.random.default_rng(0)
    mean_s = (SHORTEST_S + LONGEST_S) / 2
    seconds = rng.uniform(SHORTEST_S, LONGEST_S, max(2, round(hours * 3600 / mean_s)))
    noise = rng.normal(0, 0.1, int(LONGEST_S * SAMPLE_RATE)).astype(np.float32)
    return [noise[: int(length * SAMPLE_RATE)].copy() for length in seconds]


def recognised(runtime: TorchRuntime, clips: list[np.ndarray]) -> np.ndarray:
    """Probabilities `(clip, class)`, in sessions of `CLIPS_A_SESSION`."""
    sessions = [Session() for _ in range(len(clips) // CLIPS_A_SESSION + 1)]
    owners = [sessions[row // CLIPS_A_SESSION] for row in range(len(clips))]
    return runtime.in_sessions(clips, owners, [True] * len(clips))


def timed(runtime: TorchRuntime, action: Callable[[], object], repeats: int) -> float:
    """Median seconds of `action` until the device is done with it, after one run that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        synchronise(runtime.device)
        began = time.perf_counter()
        action()
        synchronise(runtime.device)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def synchronise(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def latency(runtime: TorchRuntime, repeats: int) -> float:
    """Seconds from one clip's samples to its probabilities."""
    clip = generated(1)[0]
    clip = np.resize(clip, int(LATENCY_S * SAMPLE_RATE))
    return timed(runtime, lambda: recognised(runtime, [clip]), 10 * repeats)


@torch.inference_mode()
def shares(runtime: TorchRuntime, clips: list[np.ndarray], repeats: int) -> dict[str, float]:
    """Seconds of each stage by itself, the device waiting for none: padding and copying, features, encoder.

    The rest is heads, sessions and copying back. Stages overlap when they run together, so their sum may be
    more than the whole.
    """
    groups = list(batches(sorted(clips, key=len), runtime.device))
    extract = runtime.extract
    # What is left of `features` is copying, of one row a window.
    runtime.extract = lambda samples, lengths: (samples[:, None], lengths)
    copied = [(samples[:, 0], lengths) for samples, lengths in map(runtime.features, groups)]
    copies = timed(runtime, lambda: [runtime.features(group) for group in groups], repeats)
    runtime.extract = extract
    features = [extract(*batch) for batch in copied]
    return {
        "padding and copies": copies,
        "features": timed(runtime, lambda: [extract(*batch) for batch in copied], repeats),
        "encoder": timed(runtime, lambda: [runtime.embed(*batch) for batch in features], repeats),
    }


@torch.inference_mode()
def limits(runtime: TorchRuntime, clips: list[np.ndarray], way: str, seconds: float) -> dict[str, Any]:
    """Operations and bytes of the whole, and what share of `seconds` they take at the card's peaks."""
    groups = list(batches(sorted(clips, key=len), runtime.device))
    with FlopCounterMode(display=False) as counter:
        for group in groups:
            runtime.model.embed(*runtime.features(group))
    operations = counter.get_total_flops()
    encoder = runtime.model.encoder
    width, layers = encoder.embed_positions.embedding_dim, len(encoder.layers)
    steps = sum(len(group) * len(group[-1]) for group in groups) / SAMPLE_RATE * 50
    weights = 4 * sum(parameter.numel() for parameter in runtime.model.parameters())
    a_value = 2 if way == "bfloat16" else 4
    moved = 2 * a_value * VALUES_A_STEP * width * layers * steps + len(groups) * weights
    moved += 4 * sum(map(len, clips))
    found: dict[str, Any] = {"operations": operations, "bytes": moved}
    name = machine(runtime.device)["device"]
    peaks = next((peaks for card, peaks in PEAKS.items() if card in name), None)
    if peaks:
        found["compute_share"] = operations / peaks[way] / seconds
        found["memory_share"] = moved / peaks["bytes"] / seconds
    return found


def table(found: dict[str, Any]) -> str:
    """The figures as text."""
    computer = found["machine"]
    lines = [
        f"{computer['device']}, torch {computer['torch']}, Python {computer['python']}; "
        f"{found['hours']:.2f} hours in {found['clips']} clips of {SHORTEST_S:g} to {LONGEST_S:g} s; "
        f"medians of {found['repeats']}"
    ]
    for way, own in found["ways"].items():
        speed = own["times_real_time"]
        lines.append(
            f"\n{way}: {speed:,.0f} times real time, {speed / 3600:.2f} hours a second, batches of "
            f"{own['best_batch_minutes']:g} min; a {LATENCY_S:g} s clip alone {own['latency_ms']:.1f} ms; "
            f"at most {own['furthest_from_float32']:.1g} from float32"
        )
        lines.append(
            "  by batch (min)  " + "".join(f"{name}: {x:,.0f}  " for name, x in own["batches"].items())
        )
        lines.append(
            "  seconds of      " + "".join(f"{name}: {x:.3f}  " for name, x in own["shares"].items())
        )
        limit = own["limits"]
        text = f"{limit['operations'] / 1e12:.2f} T operations, {limit['bytes'] / 1e9:.1f} GB"
        if "compute_share" in limit:
            text += (
                f"; the card's peaks would take {limit['compute_share']:.0%} of the time for the operations, "
                f"{limit['memory_share']:.0%} for the bytes"
            )
        lines.append(f"  limits          {text}")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
