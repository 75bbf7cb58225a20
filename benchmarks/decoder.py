"""Cost of decoding untrusted recordings in a separate process.

`python -m benchmarks.decoder` reads the same files in this process and through `ser_core.audio.isolated`, in
turn, prints ms per file and writes benchmarks/results/decoder.json. It also measures how long a new worker
takes for its first file, and what the most expensive permitted files need, compared with a worker's limits.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import soundfile
import typer

from benchmarks.speed import machine
from ser_core.audio import decode
from ser_core.audio.decode import DecodeLimits
from ser_core.audio.isolated import Decoder, WorkerLimits

OUT = Path(__file__).parent / "results" / "decoder.json"
LIMITS = DecodeLimits(max_duration_s=3600.0)  # the page's
REPEATS = 30
# Name: seconds, sampling rate in Hz, channels, container, subtype.
CLIPS = {
    "5 s WAV, 16 kHz": (5, 16_000, 1, "WAV", "PCM_16"),
    "5 s FLAC, 48 kHz": (5, 48_000, 1, "FLAC", "PCM_16"),
    "5 s Opus, 48 kHz": (5, 48_000, 1, "OGG", "OPUS"),
    "30 s MP3, 44.1 kHz stereo": (30, 44_100, 2, "MP3", "MPEG_LAYER_III"),
    "10 min FLAC, 16 kHz": (600, 16_000, 1, "FLAC", "PCM_16"),
}
WORST = {
    "10 s WAV, 384 kHz, 8 channels": (10, 384_000, 8, "WAV", "DOUBLE"),
    "10 s FLAC, 384 kHz, 8 channels": (10, 384_000, 8, "FLAC", "PCM_24"),
    "1 h FLAC, 16 kHz": (3600, 16_000, 1, "FLAC", "PCM_16"),
}
Clip = tuple[int, int, int, str, str]


def main(
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
    repeats: Annotated[int, typer.Option(help="times that each file is read each way")] = REPEATS,
) -> None:
    """Measures, prints and writes the results."""
    limits = WorkerLimits()
    report: dict[str, Any] = {"machine": machine(), "repeats": repeats, "limits": vars(limits)}
    with TemporaryDirectory() as folder:
        clips = {name: write(Path(folder), clip) for name, clip in CLIPS.items()}
        first = next(iter(clips.values()))
        report["first_file_ms"] = median(first_file_ms(first) for _ in range(5))
        with Decoder() as decoder:
            report["files"] = {name: both_ways_ms(path, decoder, repeats) for name, path in clips.items()}
        report["worst"] = {name: worst(write(Path(folder), clip)) for name, clip in WORST.items()}
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    typer.echo(table(report))


def write(folder: Path, clip: Clip) -> Path:
    """Writes a file of noise in `folder` and returns its path."""
    seconds, rate, channels, container, subtype = clip
    path = folder / f"{'-'.join(map(str, clip))}.sound"
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (rate, channels))
    with soundfile.SoundFile(path, "w", rate, channels, format=container, subtype=subtype) as file:
        for _ in range(seconds):
            file.write(noise)
    return path


def first_file_ms(path: Path) -> float:
    """Time in ms to decode a file with a new worker, including the worker's start."""
    with Decoder() as decoder:
        return timed_ms(lambda: decoder.stream(path, LIMITS))


def both_ways_ms(path: Path, decoder: Decoder, repeats: int) -> dict[str, float]:
    """Median ms of both ways, measured in turn so that both meet the same load."""
    in_process, in_worker = [], []
    for _ in range(repeats):
        in_process.append(timed_ms(lambda: decode.stream(path, LIMITS)))
        in_worker.append(timed_ms(lambda: decoder.stream(path, LIMITS)))
    ratio = median(b / a for a, b in zip(in_process, in_worker, strict=True))
    return {"in_process_ms": median(in_process), "worker_ms": median(in_worker), "ratio": ratio}


def timed_ms(read: Callable[[], Iterable[np.ndarray]]) -> float:
    """Time in ms to read all blocks of a file."""
    started = time.perf_counter()
    for _ in read():
        pass
    return 1000 * (time.perf_counter() - started)


def worst(path: Path) -> dict[str, float]:
    """Time, CPU time and peak memory that a worker needs for a file (Linux)."""
    with Decoder() as decoder:
        elapsed = timed_ms(lambda: decoder.stream(path, LIMITS))
        worker = next(
            status.parent
            for status in Path("/proc").glob("[0-9]*/status")
            if f"\nPPid:\t{os.getpid()}\n" in status.read_text()
            and b"ser_core.audio.isolated" in status.with_name("cmdline").read_bytes()
        )
        status = (worker / "status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        ticks = (worker / "stat").read_text().rpartition(")")[2].split()[11:13]  # in user mode, in the kernel
    cpu_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return {"elapsed_ms": elapsed, "cpu_s": cpu_s, "peak_bytes": 1024 * int(fields["VmHWM"].split()[0])}


def table(report: dict[str, Any]) -> str:
    """The results as text."""
    lines = [f"{'':<32}{'here':>10}{'worker':>10}{'ratio':>8}   ms, medians of {report['repeats']}"]
    lines += [
        f"{name:<32}{row['in_process_ms']:>10.2f}{row['worker_ms']:>10.2f}{row['ratio']:>8.2f}"
        for name, row in report["files"].items()
    ]
    lines += [f"{'first file of a fresh worker':<42}{report['first_file_ms']:>10.0f}"]
    lines += [
        f"{name:<32}{row['cpu_s']:>8.1f} s of CPU, {row['peak_bytes'] / 1e6:.0f} MB at most"
        for name, row in report["worst"].items()
    ]
    limits = report["limits"]
    allowed = f"{limits['cpu_s']:>8.1f} s of CPU, {limits['memory_bytes'] / 1e6:.0f} MB of data"
    return "\n".join([*lines, f"{'allowed':<32}{allowed}"])


if __name__ == "__main__":
    typer.run(main)
