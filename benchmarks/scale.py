"""Cost at large scale: `python -m benchmarks.scale` prints docs/scale.md's tables, writes results/scale.json.

Measured in processor seconds of one core: from a FLAC file to its analysis, and the front end alone
(decoding, speech detection, quality); further the operations of the model and the bytes of input and output.
Calculated from these: the cost of a million hours. Prices are options. The speed of a GPU is an estimate from
its published peak and a share of it, as none was available. `--write` puts the tables into docs/scale.md.
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

from benchmarks.pages import replace_section
from benchmarks.speed import RAVDESS, ROOT, machine, recording
from ser_core import Recognizer
from ser_core.audio import decode
from ser_core.audio.speech import SpeechStream
from ser_core.commands.batch.table import parquet

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
LIVE = ROOT / "benchmarks" / "results" / "live.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
HOUR_S = 3600
REPEATS = 5
HOURS = 1_000_000
GPU_PEAK_FLOPS = 989e12  # H200 SXM, bfloat16, dense, as published by NVIDIA
GPU_SHARES = (0.05, 0.3)  # of the peak: with short sequences of width 512, untuned; tuned
GPU_CORES = 16  # for decoding and speech detection, per card
KEEP_PRICE, MOVE_PRICE = 0.023, 0.09  # $ per GB: a month of storage; transfer out of a cloud
LIVE_P95_MS = 500  # latency of final results after the pause that ends a segment


def main(
    minutes: Annotated[float, typer.Option(help="Length of the file.")] = 10.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    core_price: Annotated[float, typer.Option(help="Of a core for an hour, in dollars.")] = 0.05,
    gpu_price: Annotated[float, typer.Option(help="Of a GPU and its cores for an hour.")] = 4.0,
    write: Annotated[bool, typer.Option("--write", help="Into docs/scale.md too.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    torch.set_num_threads(1)
    report = {"machine": machine(), "model": model, "core_price": core_price, "gpu_price": gpu_price}
    report["speech"] = "RAVDESS clips with pauses" if RAVDESS.is_dir() else "generated vowels with pauses"
    with tempfile.TemporaryDirectory() as folder:
        _, path, seconds = recording(Path(folder), minutes)
        report |= measured(Recognizer.load(model, "cpu"), path, seconds)
    if LIVE.is_file():
        report["live_sessions"] = live_sessions(json.loads(LIVE.read_text(encoding="utf-8")))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    tables = "\n\n".join(table(report) for table in (measurements, million, scales))
    print(tables)
    if write:
        replace_section(PAGE, BEGIN, END, tables)


def measured(recognizer: Recognizer, path: Path, seconds: float) -> dict[str, Any]:
    """Speed of one core on the file, and the bytes of input and output."""

    def front_end() -> None:
        stream = SpeechStream()
        for block in decode.stream(path):
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
    """Median CPU seconds of `action` in this process, which uses one thread."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        action()
        seconds.append(time.process_time() - started)
    return median(seconds)


def live_sessions(live: dict[str, Any]) -> dict[str, Any] | None:
    """The most sessions at once without losses and with results in time; None if there were none."""
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


def measurements(report: dict[str, Any]) -> str:
    """The measurements as a Markdown table."""
    rows = [
        ("file to analysis, one core", f"{report['times_real_time']:.0f} × real time"),
        (
            "of that decoding, speech detection, quality",
            f"{report['front_end_times_real_time']:.0f} × real time",
        ),
        ("operations of the model", f"{report['operations_a_second'] / 1e9:.2f} GFLOP a second of recording"),
        (
            "speech",
            f"{report['speech_share']:.0%} of the recording, "
            f"{report['segments_an_hour']:.0f} segments an hour",
        ),
        ("in (FLAC, 16 kHz)", f"{report['input_bytes_an_hour'] / 1e6:.0f} MB an hour"),
        ("out (Parquet)", f"{report['output_bytes_an_hour'] / 1e6:.3f} MB an hour"),
    ]
    live = report.get("live_sessions")
    if live:
        users = f"{live['sessions']} on {live['cores']} cores (p95 {live['final_p95_ms']:.0f} ms)"
        rows.append(("live users at once", users))
    cpu = report["machine"]["cpu"]
    head = f"| `python -m benchmarks.scale`, {cpu}, {report['speech']} | |\n|---|---|\n"
    return head + "\n".join(f"| {what} | {value} |" for what, value in rows)


def million(report: dict[str, Any]) -> str:
    """The cost of a million hours as a Markdown table."""
    core_hours = HOURS / report["times_real_time"]
    rows = [("cores alone", f"{core_hours:,.0f} core hours", core_hours * report["core_price"])]
    for share in GPU_SHARES:
        node = gpu_node(report, share)
        what = f"*H200 at {share:.0%} of its peak, {GPU_CORES} cores beside it*"
        rows.append((what, f"*{HOURS / node:,.0f} node hours*", HOURS / node * report["gpu_price"]))
    gigabytes = HOURS * report["input_bytes_an_hour"] / 1e9
    rows.append(("keeping the sound for a month", f"{gigabytes / 1000:,.0f} TB", gigabytes * KEEP_PRICE))
    rows.append(("taking it out of a cloud, once", f"{gigabytes / 1000:,.0f} TB", gigabytes * MOVE_PRICE))
    results = HOURS * report["output_bytes_an_hour"] / 1e9
    rows.append(("keeping the results for a month", f"{results / 1000:,.2f} TB", results * KEEP_PRICE))
    head = "| a million hours | takes | $ |\n|---|---|---|\n"
    return head + "\n".join(f"| {what} | {takes} | {cost:,.0f} |" for what, takes, cost in rows)


def scales(report: dict[str, Any]) -> str:
    """Speed, time for a million hours and read rate by size of the machine, as a Markdown table."""
    core, node = report["times_real_time"], gpu_node(report, GPU_SHARES[-1])
    rows = []
    for what, speed in (
        ("2 cores", 2 * core),
        ("64 cores", 64 * core),
        ("1 000 cores", 1000 * core),
        (f"*1 H200, {GPU_CORES} cores*", node),
        (f"*8 H200, {8 * GPU_CORES} cores*", 8 * node),
    ):
        days = HOURS / speed / 24
        reads = speed * report["input_bytes_an_hour"] / HOUR_S / 1e6
        rows.append(f"| {what} | {speed:,.0f} | {days:,.1f} | {reads:,.0f} |")
    head = "| | × real time | days for a million hours | MB/s read |\n|---|---|---|---|\n"
    return head + "\n".join(rows)


def gpu_node(report: dict[str, Any], share: float) -> float:
    """Times real time of a GPU at `share` of its peak, limited by the cores beside it."""
    card = GPU_PEAK_FLOPS * share / report["operations_a_second"]
    return float(min(card, GPU_CORES * report["front_end_times_real_time"]))


if __name__ == "__main__":
    typer.run(main)
