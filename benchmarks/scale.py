"""Past one machine: `python -m benchmarks.scale` prints docs/scale.md's tables, writes results/scale.json.

Measured here, on one core: the whole way from a FLAC file to its analysis, its front end alone (decoding,
speech detection, quality), the operations of the model, the bytes that go in and come out. Reckoned from
these: what a million hours take. Prices are what the options say; what a GPU does is an estimate, from its
published peak and a share of it, as none was at hand. `--write` puts the tables into docs/scale.md.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import RAVDESS, ROOT, machine, recording
from ser_core import Recognizer, audio
from ser_core.batch.table import parquet
from ser_core.speech import SpeechStream

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
LIVE = ROOT / "benchmarks" / "results" / "live.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
HOUR_S = 3600
REPEATS = 5
HOURS = 1_000_000
GPU_PEAK_FLOPS = 989e12  # H200 SXM, bfloat16, dense, as published by NVIDIA
GPU_SHARES = (0.05, 0.3)  # of the peak that is reached: short sequences of width 512 as they come; tuned
GPU_CORES = 16  # that decode and find speech beside one card
LIVE_P95_MS = 500  # a final result comes within this of the pause that ends its segment


def main(
    minutes: Annotated[float, typer.Option(help="Length of the file.")] = 10.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    core_price: Annotated[float, typer.Option(help="Of a core for an hour, in dollars.")] = 0.05,
    gpu_price: Annotated[float, typer.Option(help="Of a GPU and its cores for an hour.")] = 4.0,
    write: Annotated[bool, typer.Option("--write", help="Into docs/scale.md too.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    torch.set_num_threads(1)
    found = {"machine": machine(), "model": model, "core_price": core_price, "gpu_price": gpu_price}
    found["speech"] = "RAVDESS clips with pauses" if RAVDESS.is_dir() else "generated vowels with pauses"
    with tempfile.TemporaryDirectory() as folder:
        _, path, seconds = recording(Path(folder), minutes)
        found |= measured(Recognizer.load(model, "cpu"), path, seconds)
    if LIVE.is_file():
        found["live_sessions"] = live_sessions(json.loads(LIVE.read_text(encoding="utf-8")))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    tables = f"{measurements(found)}\n\n{million(found)}"
    print(tables)
    if write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")


def measured(recognizer: Recognizer, path: Path, seconds: float) -> dict[str, Any]:
    """What one core does with the file, and what goes in and comes out."""

    def front_end() -> None:
        stream = SpeechStream()
        for block in audio.stream(path):
            stream.push(block)
        stream.flush()

    analysis = recognizer.analyze_file(path)
    with FlopCounterMode(display=False) as counter:
        recognizer.analyze_file(path)
    hours = seconds / HOUR_S
    return {
        "file_s": seconds,
        "times_real_time": seconds / timed(lambda: recognizer.analyze_file(path)),
        "front_end_times_real_time": seconds / timed(front_end),
        "speech_share": sum(s.end - s.start for s in analysis.segments) / seconds,
        "segments_an_hour": len(analysis.segments) / hours,
        "operations_a_second": counter.get_total_flops() / seconds,
        "input_bytes_an_hour": path.stat().st_size / hours,
        "output_bytes_an_hour": len(parquet([analysis])) / hours,
    }


def timed(action: Callable[[], object]) -> float:
    """Median seconds of `action`."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def live_sessions(live: dict[str, Any]) -> dict[str, Any] | None:
    """The most sessions at once that lost nothing and got their results in time; None where none did."""
    good = [
        run
        for run in live["load"]
        if run["final_ms"]["p95"] is not None
        and run["final_ms"]["p95"] <= LIVE_P95_MS
        and not run["lost_samples"] + run["lost_finals"] + len(run["errors"])
    ]
    if not good:
        return None
    most = max(good, key=lambda run: run["sessions"])
    return {
        "sessions": most["sessions"],
        "final_p95_ms": most["final_ms"]["p95"],
        "server_mb": most["server_mb_after"],
        "cores": live["machine"]["cores"],
    }


def measurements(found: dict[str, Any]) -> str:
    """The measured table, in Markdown."""
    rows = [
        ("file to analysis, one core", f"{found['times_real_time']:.0f} × real time"),
        (
            "of that decoding, speech detection, quality",
            f"{found['front_end_times_real_time']:.0f} × real time",
        ),
        ("operations of the model", f"{found['operations_a_second'] / 1e9:.2f} GFLOP a second of recording"),
        (
            "speech",
            f"{found['speech_share']:.0%} of the recording, {found['segments_an_hour']:.0f} segments an hour",
        ),
        ("in (FLAC, 16 kHz)", f"{found['input_bytes_an_hour'] / 1e6:.0f} MB an hour"),
        ("out (Parquet)", f"{found['output_bytes_an_hour'] / 1e6:.3f} MB an hour"),
    ]
    live = found.get("live_sessions")
    if live:
        users = f"{live['sessions']} on {live['cores']} cores (p95 {live['final_p95_ms']:.0f} ms)"
        rows.append(("live users at once", users))
    cpu = found["machine"]["cpu"]
    head = f"| `python -m benchmarks.scale`, {cpu}, {found['speech']} | |\n|---|---|\n"
    return head + "\n".join(f"| {what} | {value} |" for what, value in rows)


def million(found: dict[str, Any]) -> str:
    """What a million hours take, in Markdown."""
    core_hours = HOURS / found["times_real_time"]
    front_hours = HOURS / found["front_end_times_real_time"]
    rows = [
        ("cores alone", f"{core_hours:,.0f} core hours", f"{core_hours * found['core_price']:,.0f}", "model")
    ]
    for share in GPU_SHARES:
        card_hours = HOURS * found["operations_a_second"] / (GPU_PEAK_FLOPS * share)
        node_hours = max(card_hours, front_hours / GPU_CORES)
        limit = "card" if card_hours > front_hours / GPU_CORES else "decoding on its cores"
        rows.append(
            (
                f"*estimate:* H200 at {share:.0%} of its peak, {GPU_CORES} cores beside it",
                f"{node_hours:,.0f} hours (card {card_hours:,.0f}, cores {front_hours:,.0f})",
                f"{node_hours * found['gpu_price']:,.0f}",
                limit,
            )
        )
    head = "| a million hours | takes | $ | bound by |\n|---|---|---|---|\n"
    return head + "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    typer.run(main)
