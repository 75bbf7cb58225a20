"""Memory for long recordings: `python -m benchmarks.long` prints a table and writes results/long.json.

A FLAC file of each length is made in the temporary folder: RAVDESS clips with pauses, or generated vowels
where ../shared/data is absent; an hour of them, repeated. `python -m ser_core analyze` reads it in a process
of its own. Its peak is the kernel's resident high-water mark (VmHWM, Linux only), including writing the
results. `--voices auto,one` measures both. The last line is how much one more hour adds to the peak.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer

from benchmarks.speed import RAVDESS, ROOT, SAMPLE_RATE, machine, recording

RESULTS = ROOT / "benchmarks" / "results" / "long.json"
HOUR_S = 3600
BLOCK_S = 60  # the file is written in pieces
CHILD = """
import atexit, sys
from ser_core.commands.cli import app
def report():
    status = open("/proc/self/status").read()
    open(sys.argv[1], "w").write(status.split("VmHWM:")[1].split()[0])
atexit.register(report)
app(sys.argv[2:])
"""


def main(
    hours: Annotated[str, typer.Option(help="Lengths of the files.")] = "1,24",
    loop_minutes: Annotated[float, typer.Option(help="Length of the speech that is repeated.")] = 60.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    voices: Annotated[str, typer.Option(help="What --voices is told, in turn.")] = "auto",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    report: dict[str, Any] = {"machine": machine(), "model": model}
    report["speech"] = "RAVDESS clips with pauses" if RAVDESS.is_dir() else "generated vowels with pauses"
    report["files"] = []
    print(
        f"{'hours':>6}{'voices':>8}{'file MB':>9}{'segments':>10}{'results MB':>12}"
        f"{'peak MB':>9}{'x real time':>13}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, loop, _ = recording(folder, loop_minutes)
        for length in map(float, hours.split(",")):
            path = repeated(loop, folder / f"{length:g}-hours.flac", length)
            for told in voices.split(","):
                cost = analysed(path, folder, model, length, told)
                report["files"].append({"hours": length, "voices": told, **cost})
                print(line(report["files"][-1]), flush=True)
            path.unlink()
    first, last = report["files"][0], report["files"][-len(voices.split(","))]
    if last["hours"] > first["hours"]:
        grown = last["peak_bytes"] - first["peak_bytes"]
        report["bytes_an_hour"] = grown / (last["hours"] - first["hours"])
        print(f"one more hour adds {report['bytes_an_hour'] / 1e6:.1f} MB to the peak")
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def repeated(loop: Path, target: Path, hours: float) -> Path:
    """A FLAC file of `hours` that repeats `loop`, at a level that changes with each repetition."""
    rng = np.random.default_rng(0)
    remaining = round(hours * HOUR_S * SAMPLE_RATE)
    with soundfile.SoundFile(target, "w", SAMPLE_RATE, 1) as file:
        while remaining:
            gain = np.float32(rng.uniform(0.5, 0.9))
            for block in soundfile.blocks(loop, BLOCK_S * SAMPLE_RATE, dtype="float32"):
                file.write(gain * block[:remaining])
                remaining -= len(block[:remaining])
    return target


def analysed(path: Path, folder: Path, model: str, hours: float, voices: str) -> dict[str, Any]:
    """Cost of the command for one file."""
    peak, out = folder / "peak", folder / "out.json"
    command = [sys.executable, "-c", CHILD, peak, "analyze", path, "--out", out, "--model", model]
    command += ["--voices", voices]
    started = time.perf_counter()
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    [analysis] = json.loads(out.read_text(encoding="utf-8"))
    return {
        "file_bytes": path.stat().st_size,
        "duration_s": analysis["duration"],
        "segments": len(analysis["segments"]),
        "result_bytes": out.stat().st_size,
        "peak_bytes": int(peak.read_text()) * 1024,
        "elapsed_s": seconds,  # start of the process included
        "times_real_time": hours * HOUR_S / seconds,
    }


def line(file: dict[str, Any]) -> str:
    """One row of the table."""
    return (
        f"{file['hours']:>6g}{file['voices']:>8}{file['file_bytes'] / 1e6:>9.0f}{file['segments']:>10}"
        f"{file['result_bytes'] / 1e6:>12.1f}{file['peak_bytes'] / 1e6:>9.0f}{file['times_real_time']:>13.1f}"
    )


if __name__ == "__main__":
    typer.run(main)
