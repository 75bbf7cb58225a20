"""`analyze` killed and resumed: `python -m benchmarks.resume` prints figures and writes results/resume.json.

Five thousand generated recordings, fifty of them broken, are analysed into a folder. SIGKILL ends the process
when half of the results exist; the same command with --resume completes the work. Counted are results that
are missing or incomplete, and those that both runs wrote (at most one: its journal entry was not written).
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer

from benchmarks.speed import ROOT, SAMPLE_RATE, machine

RESULTS = ROOT / "benchmarks" / "results" / "resume.json"
SOUNDS = 40  # different sounds; the recordings are these at various levels
POLL_S = 0.05


def main(
    recordings: Annotated[int, typer.Option(help="How many.")] = 5000,
    broken: Annotated[int, typer.Option(help="How many of these cannot be read.")] = 50,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        report = {
            "machine": machine(),
            "model": model,
            **killed_and_resumed(Path(name), recordings, broken, model),
        }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(f"{key:<28}{value}" for key, value in report.items() if key != "machine"))


def killed_and_resumed(folder: Path, recordings: int, broken: int, model: str) -> dict[str, Any]:
    """Runs the command twice, killing it the first time, and counts the results."""
    calls, out, log = folder / "calls", folder / "out", folder / "log"
    calls.mkdir()
    make(calls, recordings, broken)
    command = [sys.executable, "-m", "ser_core", "analyze", str(calls), "--out", str(out), "--model", model]
    started = time.perf_counter()
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, stderr=stderr)
        while process.poll() is None and len(list(out.glob("*.json"))) < recordings // 2:
            time.sleep(POLL_S)
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
    first_s = time.perf_counter() - started
    incomplete = [path for path in out.glob("*.json") if not is_complete(path)]
    written = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    started = time.perf_counter()
    resumed = subprocess.run([*command, "--resume"], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    complete = [path for path in out.glob("*.json") if is_complete(path)]
    failed = sum(json.loads(path.read_text())[0]["error"] is not None for path in complete)
    return {
        "recordings": recordings,
        "killed": killed,
        "results_at_the_kill": len(written),
        "half_written_at_the_kill": len(incomplete),
        "seconds_to_the_kill": round(first_s, 1),
        "seconds_resumed": round(time.perf_counter() - started, 1),
        "exit_code_resumed": resumed.returncode,
        "results": len(complete),
        "missing": recordings - len(complete),
        "errors_reported": failed,
        "errors_expected": broken,
        "written_by_both_runs": sum(
            (out / name).stat().st_mtime_ns != when for name, when in written.items()
        ),
        "partial_files_left": len(list(out.glob(".*.partial"))),
    }


def make(folder: Path, recordings: int, broken: int) -> None:
    """Writes short recordings of one or two syllables to `folder`; `broken` of them are text files."""
    from tests.support import syllables

    sounds = [syllables(1 + seed % 2, seed=seed) for seed in range(SOUNDS)]
    rng = np.random.default_rng(0)
    for number, sound in enumerate(islice(cycle(sounds), recordings)):
        path = folder / f"{number:05d}.wav"
        if broken and number % (recordings // broken) == 0 and number // (recordings // broken) < broken:
            path.write_text("no recording")
        else:
            soundfile.write(path, sound * rng.uniform(0.3, 1.0), SAMPLE_RATE, subtype="PCM_16")


def is_complete(path: Path) -> bool:
    """Whether a result file can be read."""
    try:
        return len(json.loads(path.read_text(encoding="utf-8"))) == 1
    except ValueError:
        return False


if __name__ == "__main__":
    typer.run(main)
