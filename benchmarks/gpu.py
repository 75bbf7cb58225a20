"""Speed on a GPU from samples to probabilities: `python -m benchmarks.gpu` writes results/gpu.json.

Clips are generated noise of 1 to 10 s in memory, because the cost does not depend on the content. Needs only
torch, torchaudio, safetensors and numpy, and runs on a CPU too (for example with `--hours 0.02`).

The share of the card's limits is calculated, not measured. Operations are counted by torch while the encoder
runs (`FlopCounterMode`). Bytes are the weights, the samples, and every activation written and read once. At
the card's published peaks these take a minimum time, which is given as a share of the measured time.
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

from benchmarks.pages import replace_section
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
MODES = {"float32": ("float32", "highest"), "tf32": ("float32", "high"), "bfloat16": ("bfloat16", "highest")}
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
    """Measures, prints and writes the results."""
    clips = generated(hours)
    report: dict[str, Any] = {"hours": sum(map(len, clips)) / SAMPLE_RATE / 3600, "clips": len(clips)}
    report |= {"repeats": repeats, "model": model, "ways": {}}
    reference: np.ndarray | None = None
    for mode, (precision, matmul) in MODES.items():
        torch.set_float32_matmul_precision(matmul)
        runtime = TorchRuntime(*bundles.load(model), device, precision)
        report["machine"] = machine(runtime.device)
        rows = runtime.probabilities(clips[:CLIPS_A_SESSION])  # noise gets even ones within a session
        reference = rows if reference is None else reference
        row = report["ways"][mode] = {"furthest_from_float32": float(np.abs(rows - reference).max())}
        row["batches"] = {}
        for minutes in map(float, batch_minutes.split(",")):
            BATCH_SAMPLES[runtime.device.type] = int(minutes * 60 * SAMPLE_RATE)
            seconds = timed(runtime, lambda runtime=runtime: recognised(runtime, clips), repeats)
            row["batches"][f"{minutes:g}"] = report["hours"] * 3600 / seconds
        best = max(row["batches"], key=row["batches"].get)
        BATCH_SAMPLES[runtime.device.type] = int(float(best) * 60 * SAMPLE_RATE)
        row |= {"times_real_time": row["batches"][best], "best_batch_minutes": float(best)}
        row["latency_ms"] = 1e3 * latency(runtime, repeats)
        row["shares"] = shares(runtime, clips, repeats)
        row["limits"] = limits(runtime, clips, mode, report["hours"] * 3600 / row["times_real_time"])
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))
    if write:
        replace_section(PAGE, BEGIN, END, f"```\n{table(report)}\n```")


def machine(device: torch.device) -> dict[str, Any]:
    """The machine that is measured."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else f"{device.type} ({platform.processor()})",
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def generated(hours: float) -> list[np.ndarray]:
    """Clips of noise, shape (n_samples,) each, `hours` long in total."""
    rng = np.random.default_rng(0)
    mean_s = (SHORTEST_S + LONGEST_S) / 2
    seconds = rng.uniform(SHORTEST_S, LONGEST_S, max(2, round(hours * 3600 / mean_s)))
    noise = rng.normal(0, 0.1, int(LONGEST_S * SAMPLE_RATE)).astype(np.float32)
    return [noise[: int(length * SAMPLE_RATE)].copy() for length in seconds]


def recognised(runtime: TorchRuntime, clips: list[np.ndarray]) -> np.ndarray:
    """Probabilities, shape (clip, class), in sessions of `CLIPS_A_SESSION`."""
    sessions = [Session() for _ in range(len(clips) // CLIPS_A_SESSION + 1)]
    owners = [sessions[row // CLIPS_A_SESSION] for row in range(len(clips))]
    return runtime.in_sessions(clips, owners, [True] * len(clips)).in_session


def timed(runtime: TorchRuntime, action: Callable[[], object], repeats: int) -> float:
    """Median seconds of `action`, including all work on the device, after one run that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        synchronise(runtime.device)
        started = time.perf_counter()
        action()
        synchronise(runtime.device)
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])


def synchronise(device: torch.device) -> None:
    """Waits until the device has completed all work."""
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
    """Seconds of each stage by itself: padding and copying, features, encoder.

    The inputs of each stage are on the device already. The remaining time is for heads, sessions and copying
    results back. Stages overlap when they run together, so their sum may exceed the total.
    """
    clip_batches = list(batches(sorted(clips, key=len), runtime.device))
    extract = runtime.extract
    # With this, `features` only pads and copies.
    runtime.extract = lambda samples, lengths: (samples[:, None], lengths)
    device_batches = [(samples[:, 0], lengths) for samples, lengths in map(runtime.features, clip_batches)]
    copy_s = timed(runtime, lambda: [runtime.features(group) for group in clip_batches], repeats)
    runtime.extract = extract
    features = [extract(*batch) for batch in device_batches]
    return {
        "padding and copies": copy_s,
        "features": timed(runtime, lambda: [extract(*batch) for batch in device_batches], repeats),
        "encoder": timed(runtime, lambda: [runtime.embed(*batch) for batch in features], repeats),
    }


@torch.inference_mode()
def limits(runtime: TorchRuntime, clips: list[np.ndarray], mode: str, seconds: float) -> dict[str, Any]:
    """Operations and bytes of all clips, and the share of `seconds` that they take at the card's peaks."""
    clip_batches = list(batches(sorted(clips, key=len), runtime.device))
    with FlopCounterMode(display=False) as counter:
        for group in clip_batches:
            runtime.model.embed(*runtime.features(group))
    operations = counter.get_total_flops()
    encoder = runtime.model.encoder
    width, layers = encoder.embed_positions.embedding_dim, len(encoder.layers)
    steps = sum(len(group) * len(group[-1]) for group in clip_batches) / SAMPLE_RATE * 50
    weights = 4 * sum(parameter.numel() for parameter in runtime.model.parameters())
    value_bytes = 2 if mode == "bfloat16" else 4
    moved = 2 * value_bytes * VALUES_A_STEP * width * layers * steps + len(clip_batches) * weights
    moved += 4 * sum(map(len, clips))
    report: dict[str, Any] = {"operations": operations, "bytes": moved}
    name = machine(runtime.device)["device"]
    peaks = next((peaks for card, peaks in PEAKS.items() if card in name), None)
    if peaks:
        report["compute_share"] = operations / peaks[mode] / seconds
        report["memory_share"] = moved / peaks["bytes"] / seconds
    return report


def table(report: dict[str, Any]) -> str:
    """The results as text."""
    computer = report["machine"]
    lines = [
        f"{computer['device']}, torch {computer['torch']}, Python {computer['python']}; "
        f"{report['hours']:.2f} hours in {report['clips']} clips of {SHORTEST_S:g} to {LONGEST_S:g} s; "
        f"medians of {report['repeats']}"
    ]
    for mode, row in report["ways"].items():
        speed = row["times_real_time"]
        lines.append(
            f"\n{mode}: {speed:,.0f} times real time, {speed / 3600:.2f} hours a second, batches of "
            f"{row['best_batch_minutes']:g} min; a {LATENCY_S:g} s clip alone {row['latency_ms']:.1f} ms; "
            f"at most {row['furthest_from_float32']:.1g} from float32"
        )
        lines.append(
            "  by batch (min)  " + "".join(f"{name}: {x:,.0f}  " for name, x in row["batches"].items())
        )
        lines.append(
            "  seconds of      " + "".join(f"{name}: {x:.3f}  " for name, x in row["shares"].items())
        )
        limit = row["limits"]
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
