"""Cost of decoding untrusted recordings in a separate process.

`python -m benchmarks.decoder` reads the same files in this process and through `ser_core.audio.isolated`, in
turn, prints ms per file and writes benchmarks/results/decoder.json. It also measures how long a new worker
takes for its first file, and what the most expensive permitted files need, compared with a worker's limits.

`python -m benchmarks.decoder --before CHECKOUT` compares reading of the common formats with an older version
of the program instead, in turn, and prints the medians.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import numpy as np
import soundfile
import typer

from benchmarks.speed import machine
from ser_core.audio import decode
from ser_core.audio.decode import DecodeLimits
from ser_core.audio.isolated import Decoder, WorkerLimits

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "decoder.json"
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
# Ten minutes in the common formats, for the comparison of versions: container, codec, rate in Hz, channels.
COMMON = {
    f"{name}, {layout}": (container, codec, rate, layout)
    for layout in ("mono", "stereo")
    for name, container, codec, rate in (
        ("WAV", "wav", "pcm_s16le", 44_100),
        ("FLAC", "flac", "flac", 44_100),
        ("Opus", "ogg", "libopus", 48_000),
        ("MP3", "mp3", "libmp3lame", 44_100),
        ("M4A", "ipod", "aac", 44_100),
        ("WebM", "webm", "libopus", 48_000),
    )
}
READ = """
import re, sys, time
from ser_core.audio.decode import stream
sum(map(len, stream(sys.argv[1])))  # the first time imports
started = time.process_time()
samples = sum(map(len, stream(sys.argv[1])))
spent = time.process_time() - started
print(samples, spent, int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""
WORST = {
    "10 s WAV, 384 kHz, 8 channels": (10, 384_000, 8, "WAV", "DOUBLE"),
    "10 s FLAC, 384 kHz, 8 channels": (10, 384_000, 8, "FLAC", "PCM_24"),
    "1 h FLAC, 16 kHz": (3600, 16_000, 1, "FLAC", "PCM_16"),
}
Clip = tuple[int, int, int, str, str]


def main(
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
    repeats: Annotated[int, typer.Option(help="times that each file is read each way")] = REPEATS,
    before: Annotated[
        Path | None, typer.Option(help="a checkout of an older version to compare with")
    ] = None,
) -> None:
    """Measures, prints and writes the results."""
    if before:
        compare_versions(before, repeats, OUT.with_name("decoder_versions.json") if out == OUT else out)
        return
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


def compare_versions(before: Path, repeats: int, out: Path) -> None:
    """Prints and writes medians of processor time in s and of peak memory in MB, of both versions."""
    typer.echo(
        f"{'10 min of':<14}{'s before':>10}{'now':>8}{'ratio':>8}{'MB before':>12}{'now':>8}{'ratio':>8}"
    )
    commit = ["git", "-C", str(before), "rev-parse", "--short", "HEAD"]
    report: dict[str, Any] = {
        "command": f"python -m benchmarks.decoder --before CHECKOUT --repeats {repeats}",
        "before": subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip(),
        "machine": machine(),
        "formats": {},
    }
    with TemporaryDirectory() as folder:
        for name, form in COMMON.items():
            path = encoded(Path(folder) / name, *form)
            runs = [[read_in(checkout, path) for checkout in (before, ROOT)] for _ in range(repeats)]
            figures = []
            for i, unit in ((1, "s"), (2, "mb")):
                old, new = (median(run[version][i] for run in runs) for version in (0, 1))
                figures.append(f"{old:>10.3f}{new:>10.3f}{new / old:>8.3f}")
                medians = {f"{unit}_before": round(old, 3), unit: round(new, 3), f"{unit}_ratio": new / old}
                report["formats"].setdefault(name, {}).update(medians)
            lengths = {run[version][0] for run in runs for version in (0, 1)}
            same = "" if len(lengths) == 1 else f"  samples: {lengths}"
            typer.echo(f"{name:<12}{''.join(figures)}{same}")
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def encoded(path: Path, container: str, codec: str, rate: int, layout: str) -> Path:
    """Writes ten minutes of noise to `path` and returns it; two channels share half of theirs."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (2 if layout == "stereo" else 1, rate))
    noise[-1] = (noise[0] + noise[-1]) / 2
    with av.open(path, "w", format=container) as output:
        track = output.add_stream(codec, rate=rate, layout=layout)
        for second in range(600):
            frame = av.AudioFrame.from_ndarray(noise.astype(np.float32), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, second * rate
            output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return path


def read_in(checkout: Path, path: Path) -> tuple[int, float, float]:
    """Samples, processor time in s and peak memory in MB of reading `path` with the program in `checkout`."""
    command = [sys.executable, "-c", READ, path]
    answer = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout
    samples, spent, peak = answer.split()
    return int(samples), float(spent), float(peak)


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
