"""Speed and size: `python -m benchmarks.speed` prints the table and writes benchmarks/results/speed.json.

Speech is RAVDESS joined with pauses, or generated vowels where ../shared/data is absent; the results say
which. The baselines (`benchmarks.baselines`) and SER Studio's other models, precisions and runtimes run on
the same clips, in turn. Ratios are within a round; figures are medians of rounds.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import soundfile
import typer

from benchmarks.pages import replace_section
from benchmarks.pipelines import OURS, pipelines, stages, timed
from benchmarks.processes import free_port

ROOT = Path(__file__).parents[1]
RAVDESS = ROOT.parent / "shared" / "data" / "ravdess"
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
SAMPLE_RATE = 16_000  # Hz
PAUSE_S = 0.5  # between clips
GENERATED_CLIP_S = 4.0
COLD_SAMPLES = 3 * SAMPLE_RATE
PAGE_TIMEOUT_S = 60.0
POLL_S = 0.05
PEAK_CODE = """
import json, resource, sys, time
from ser_core import Recognizer
recognizer = Recognizer.load(sys.argv[2])
began = time.perf_counter()
analysis = recognizer.analyze_file(sys.argv[1])
seconds = time.perf_counter() - began
assert analysis.error is None, analysis.error
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"peak": peak, "seconds": seconds, "segments": len(analysis.segments)}))
"""


def main(
    minutes: Annotated[float, typer.Option(help="Length of the file for the speed.")] = 10.0,
    long_minutes: Annotated[float, typer.Option(help="Length of the file for the memory.")] = 60.0,
    repeats: Annotated[int, typer.Option(help="Times everything but the long file is measured.")] = 5,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    write: Annotated[bool, typer.Option("--write", help="Into docs/speed.md too.")] = False,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    report: dict[str, Any] = {"machine": machine(), "model": model, "repeats": repeats}
    report["speech"] = f"RAVDESS clips, {PAUSE_S} s apart" if RAVDESS.is_dir() else "generated vowels"
    with tempfile.TemporaryDirectory() as folder:
        # Other processes first: on Linux a child's ru_maxrss starts at its parent's size, so torch must not
        # be loaded here yet.
        report["import_s"] = import_time("import ser_core", repeats)
        report["import_recognizer_s"] = import_time(
            "from ser_core.recognition.torch_runtime import TorchRuntime", repeats
        )
        report["cold_start_s"] = cold_start(Path(folder), model, repeats)
        report["page_ready_s"] = page_ready(repeats)
        report["long_file"] = long_file(Path(folder), long_minutes, model)
        clips, path, seconds = recording(Path(folder), minutes)
        report["file_s"] = seconds
        report["ways"] = pipelines(clips, path, seconds, model, Path(folder), repeats)
        report["stages"] = stages(path, model, repeats)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))
    if write:
        replace_section(PAGE, BEGIN, END, f"```\n{table(report)}\n```")


def machine() -> dict[str, Any]:
    """The machine, and the versions of the packages, that are measured."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    packages = ("torch", "torchaudio", "onnxruntime", "librosa", "numpy", "soundfile", "gradio")
    installed = {name for package in distributions() if (name := package.name) in packages}
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages if name in installed},
    }


def clip_paths(folder: Path) -> Iterator[Path]:
    """RAVDESS clips, with speakers in turn; without RAVDESS, generated clips without end."""
    if RAVDESS.is_dir():
        yield from sorted(RAVDESS.glob("Actor_*/*.flac"), key=lambda path: (path.name[:17], path.name))
        return
    from tests.support import syllables, write_wav

    number = 0
    while True:
        number += 1
        sound = syllables(4, seed=number)[: int(GENERATED_CLIP_S * SAMPLE_RATE)]
        yield write_wav(folder / f"generated-{number}.wav", sound)


def recording(folder: Path, minutes: float) -> tuple[list[Path], Path, float]:
    """The clips, one FLAC file of `minutes` that joins them, and its duration in seconds."""
    target = folder / f"{minutes:g}-minutes.flac"
    length = int(minutes * 60 * SAMPLE_RATE)
    position, clips = 0, []
    with soundfile.SoundFile(target, "w", SAMPLE_RATE, 1) as file:
        for path in clip_paths(folder):
            clip = soundfile.read(path, dtype="float32")[0]
            piece = np.concatenate([clip, np.zeros(int(PAUSE_S * SAMPLE_RATE), np.float32)])
            file.write(piece[: length - position])
            position += len(piece)
            clips.append(path)
            if position >= length:
                break
    return clips, target, min(position, length) / SAMPLE_RATE


def import_time(statement: str, repeats: int) -> float:
    """Median seconds of a new interpreter that runs `statement`."""
    return timed(lambda: subprocess.run([sys.executable, "-c", statement], cwd=ROOT, check=True), repeats)


def cold_start(folder: Path, model: str, repeats: int) -> float:
    """Median seconds of a process that analyses one clip of 3 s, including its start."""
    clip = folder / "clip.wav"
    sound = soundfile.read(next(clip_paths(folder)), dtype="float32")[0]
    soundfile.write(clip, np.pad(sound, (0, COLD_SAMPLES))[:COLD_SAMPLES], SAMPLE_RATE)
    command = [sys.executable, "-m", "ser_core", "analyze", str(clip), "--model", model]
    return timed(lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True), repeats)


def long_file(folder: Path, minutes: float, model: str) -> dict[str, float]:
    """Peak memory and speed of a process that analyses one long file."""
    _, path, seconds = recording(folder, minutes)
    command = [sys.executable, "-c", PEAK_CODE, str(path), model]
    process = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    child = json.loads(process.stdout)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of one unit of ru_maxrss
    return {
        "file_s": seconds,
        "segments": child["segments"],
        "peak_bytes": child["peak"] * unit,
        "times_real_time": seconds / child["seconds"],
        "floor_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,  # no child reads lower
    }


def page_ready(repeats: int) -> float | None:
    """Median seconds from the start of `python app.py` to its first response; None without a page."""
    if not (ROOT / "app.py").is_file():
        return None
    return median(start_s() for _ in range(repeats))


def start_s() -> float:
    """Seconds until a new app responds with status 200."""
    started = time.perf_counter()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port := free_port())}
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/"):
            if process.poll() is not None or time.perf_counter() - started > PAGE_TIMEOUT_S:
                raise RuntimeError(f"the page did not answer within {PAGE_TIMEOUT_S:g} s")
            time.sleep(POLL_S)
        return time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Whether `url` responds with status 200."""
    try:
        with urlopen(url, timeout=PAGE_TIMEOUT_S) as response:
            return response.status == 200
    except (URLError, ConnectionError):
        return False


def table(report: dict[str, Any]) -> str:
    """The results as text."""
    long, computer, page = report["long_file"], report["machine"], report["page_ready_s"]
    rows = [
        ("machine", f"{computer['cpu']}, {computer['cores']} cores, Python {computer['python']}"),
        ("packages", ", ".join(f"{name} {number}" for name, number in computer["packages"].items())),
        ("speech", f"{report['speech']}; medians of {report['repeats']}; model {report['model']}"),
        (f"{long['file_s'] / 60:.3g}-minute file", f"{long['peak_bytes'] / 1e6:.0f} MB of peak memory"),
        ("cold start", f"{report['cold_start_s']:.2f} s from a process's start to the result of a 3 s clip"),
        ("import ser_core", f"{report['import_s']:.2f} s"),
        ("  with torch", f"{report['import_recognizer_s']:.2f} s"),
        ("page answers after", "no page" if page is None else f"{page:.1f} s"),
    ]
    lines = [f"{name:<20}{value}" for name, value in rows]
    baselines = [name for name in report["ways"] if not name.startswith(OURS)]
    minutes = report["file_s"] / 60
    lines.append(f"\n{minutes:.3g} minutes of speech: times real time, and times rivals 1 to 3")
    for name, pipeline in report["ways"].items():
        number = f"{baselines.index(name) + 1}: " if name in baselines else ""
        ratios = "".join(f"{pipeline[baseline]:>9.2f}" for baseline in baselines)
        lines.append(f"{pipeline['times_real_time']:>9.1f}{ratios}  {number}{name}")
    lines.append("\nseconds of it, by stage")
    lines += [f"{seconds:>9.3f}  {name}" for name, seconds in report["stages"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
