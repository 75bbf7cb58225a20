"""How fast, how big: `python -m benchmarks.speed` prints the table and writes benchmarks/results/speed.json.

Speech is RAVDESS joined with pauses where ../shared/data is there, else generated vowels; the results say
which. Beside SER Studio run, on the same clips and in turn with it, what people would otherwise use
(`benchmarks.rivals`), and its own model in float32 and as ONNX. A ratio is of one round; medians of rounds.
"""

import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import soundfile
import typer

ROOT = Path(__file__).parents[1]
RAVDESS = ROOT.parent / "shared" / "data" / "ravdess"
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
SAMPLE_RATE = 16_000  # Hz
PAUSE_S = 0.5  # between clips
GENERATED_CLIP_S = 4.0
COLD_SAMPLES = 3 * SAMPLE_RATE
WAV2VEC2_CLIPS = 20  # it takes long
OURS = "SER Studio"
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
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    found: dict[str, Any] = {"machine": machine(), "model": model, "repeats": repeats}
    found["speech"] = f"RAVDESS clips, {PAUSE_S} s apart" if RAVDESS.is_dir() else "generated vowels"
    with tempfile.TemporaryDirectory() as folder:
        # First what runs in other processes: on Linux a child's ru_maxrss starts at its parent's size, so
        # this one must not have loaded torch yet.
        found["import_s"] = import_time("import ser_core", repeats)
        found["import_recognizer_s"] = import_time("from ser_core.torch_runtime import TorchRuntime", repeats)
        found["cold_start_s"] = cold_start(Path(folder), model, repeats)
        found["page_ready_s"] = page_ready(repeats)
        found["long_file"] = long_file(Path(folder), long_minutes, model)
        clips, path, seconds = recording(Path(folder), minutes)
        found["file_s"] = seconds
        found["ways"] = ways(clips, path, seconds, model, Path(folder), repeats)
        found["stages"] = stages(path, model, repeats)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    packages = ("torch", "torchaudio", "onnxruntime", "librosa", "numpy", "soundfile", "gradio")
    there = {name for found in distributions() if (name := found.name) in packages}
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages if name in there},
    }


def clip_paths(folder: Path) -> Iterator[Path]:
    """RAVDESS clips, speakers taking turns; else generated ones, without end."""
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
    """The clips, one FLAC file of `minutes` made of them, and its length in seconds."""
    target = folder / f"{minutes:g}-minutes.flac"
    wanted = int(minutes * 60 * SAMPLE_RATE)
    written, clips = 0, []
    with soundfile.SoundFile(target, "w", SAMPLE_RATE, 1) as file:
        for path in clip_paths(folder):
            clip = soundfile.read(path, dtype="float32")[0]
            piece = np.concatenate([clip, np.zeros(int(PAUSE_S * SAMPLE_RATE), np.float32)])
            file.write(piece[: wanted - written])
            written += len(piece)
            clips.append(path)
            if written >= wanted:
                break
    return clips, target, min(written, wanted) / SAMPLE_RATE


def timed(action: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of `action`, after one run that is not counted."""
    action()
    return median(seconds_of(action) for _ in range(repeats))


def seconds_of(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one run."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def import_time(statement: str, repeats: int) -> float:
    """Median seconds of a fresh interpreter that runs `statement` and ends."""
    return timed(lambda: subprocess.run([sys.executable, "-c", statement], cwd=ROOT, check=True), repeats)


def cold_start(folder: Path, model: str, repeats: int) -> float:
    """Median seconds of a process that analyses one clip of 3 s, from its start to its end."""
    clip = folder / "clip.wav"
    sound = soundfile.read(next(clip_paths(folder)), dtype="float32")[0]
    soundfile.write(clip, np.pad(sound, (0, COLD_SAMPLES))[:COLD_SAMPLES], SAMPLE_RATE)
    command = [sys.executable, "-m", "ser_core", "analyze", str(clip), "--model", model]
    return timed(lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True), repeats)


def long_file(folder: Path, minutes: float, model: str) -> dict[str, float]:
    """Peak memory and speed of a process that analyses one long file."""
    _, path, seconds = recording(folder, minutes)
    command = [sys.executable, "-c", PEAK_CODE, str(path), model]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    child = json.loads(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of one unit of ru_maxrss
    return {
        "file_s": seconds,
        "segments": child["segments"],
        "peak_bytes": child["peak"] * unit,
        "times_real_time": seconds / child["seconds"],
        "floor_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,  # no child reads lower
    }


def page_ready(repeats: int) -> float | None:
    """Median seconds from the start of `python app.py` to its first answer; None without a page."""
    if not (ROOT / "app.py").is_file():
        return None
    return median(one_start() for _ in range(repeats))


def one_start() -> float:
    """Seconds until a fresh app answers 200."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/"):
            if process.poll() is not None or time.perf_counter() - began > PAGE_TIMEOUT_S:
                raise RuntimeError(f"the page did not answer within {PAGE_TIMEOUT_S:g} s")
            time.sleep(POLL_S)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Whether `url` answers 200 now."""
    try:
        with urlopen(url, timeout=PAGE_TIMEOUT_S) as response:
            return response.status == 200
    except (URLError, ConnectionError):
        return False


def ways(
    clips: list[Path], path: Path, seconds: float, model: str, folder: Path, repeats: int
) -> dict[str, dict[str, Any]]:
    """Ways from bytes on disk to emotions, models being loaded: how long each takes, and beside ours.

    `against_ours`: how many times longer a second of sound takes than with SER Studio, in the same round.
    """
    from benchmarks import rivals
    from ser_core import Recognizer

    def analyse(recognizer: Recognizer) -> Callable[[], object]:
        return lambda: recognizer.analyze_file(path)

    few = clips[:WAV2VEC2_CLIPS]
    heard = len(few) / len(clips) * seconds
    tried = {
        OURS: (analyse(Recognizer.load(model)), seconds),
        "in float32": (analyse(Recognizer.load(model, precision="float32")), seconds),
        **{name: (analyse(made), seconds) for name, made in exported(model, folder).items()},
        rivals.LINEAGE: (rivals.lineage(clips), seconds),
        f"{rivals.WAV2VEC2}, {len(few)} clips": (rivals.wav2vec2(few), heard),
    }
    rounds: dict[str, list[float]] = {name: [] for name in tried}
    for number in range(repeats + 1):
        for name, (action, length) in tried.items():
            speed = length / seconds_of(action)
            if number:  # the first round warms up
                rounds[name].append(speed)
    return {
        name: {
            "times_real_time": median(speeds),
            "against_ours": median(ours / its for ours, its in zip(rounds[OURS], speeds, strict=True)),
        }
        for name, speeds in rounds.items()
    }


def exported(model: str, folder: Path) -> dict[str, Any]:
    """The recognisers of the checkpoint's ONNX files; none where they cannot be made."""
    from ser_core import Recognizer, bundle
    from train import onnx_export
    from train.errors import RunError

    copy = folder / "onnx"
    shutil.copytree(bundle.read(model).path, copy)
    try:
        onnx_export.write(copy)
    except RunError as error:
        print(error, file=sys.stderr)
        return {}
    return {name: Recognizer.load(copy, runtime=name) for name in ("onnx", "onnx-int8")}


def stages(path: Path, model: str, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of each stage on its way through the file, the model's in both precisions."""
    import torch

    from ser_core import Recognizer, audio
    from ser_core.quality import QualityMeter
    from ser_core.session import Session
    from ser_core.speech import SpeechStream
    from ser_core.torch_runtime import batches
    from ser_core.vad import Segmenter

    def each(block_taker: Any) -> list[Any]:
        return [found for block in blocks for found in block_taker.push(block) or []]

    blocks = list(audio.stream(path))
    clips = [clip.samples for clip in each(SpeechStream())]
    found: dict[str, dict[str, float]] = {}
    for precision in ("float32", "bfloat16"):
        runtime = Recognizer.load(model, precision=precision).runtime

        def features(runtime: Any = runtime) -> None:
            with torch.inference_mode():
                for batch in batches(sorted(clips, key=len), runtime.device):
                    runtime.features(batch)

        def recognised(runtime: Any = runtime) -> None:
            session = Session()
            runtime.in_sessions(clips, [session] * len(clips), [True] * len(clips))

        found[precision] = {
            "decoding": timed(lambda: list(audio.stream(path)), repeats),
            "speech detection": timed(lambda: each(Segmenter()), repeats),
            "quality": timed(lambda: each(QualityMeter()), repeats),
            "features": timed(features, repeats),
        }
        found[precision]["encoder and heads"] = timed(recognised, repeats) - found[precision]["features"]
    return found


def table(found: dict[str, Any]) -> str:
    """The figures as text."""
    long, computer, page = found["long_file"], found["machine"], found["page_ready_s"]
    rows = [
        ("machine", f"{computer['cpu']}, {computer['cores']} cores, Python {computer['python']}"),
        ("packages", ", ".join(f"{name} {number}" for name, number in computer["packages"].items())),
        ("speech", f"{found['speech']}; medians of {found['repeats']}; model {found['model']}"),
        (f"{long['file_s'] / 60:.3g}-minute file", f"{long['peak_bytes'] / 1e6:.0f} MB of peak memory"),
        ("cold start", f"{found['cold_start_s']:.2f} s from a process's start to the result of a 3 s clip"),
        ("import ser_core", f"{found['import_s']:.2f} s"),
        ("  with torch", f"{found['import_recognizer_s']:.2f} s"),
        ("page answers after", "no page" if page is None else f"{page:.1f} s"),
    ]
    lines = [f"{name:<20}{value}" for name, value in rows]
    lines.append(
        f"\n{'x real time':>12}{'ours is x faster':>18}  {found['file_s'] / 60:.3g} minutes of speech"
    )
    for name, way in found["ways"].items():
        lines.append(f"{way['times_real_time']:>12.1f}{way['against_ours']:>18.2f}  {name}")
    lines.append("\nseconds, by stage       " + "".join(f"{name:>10}" for name in found["stages"]))
    for name in next(iter(found["stages"].values())):
        cells = "".join(f"{stage[name]:>10.3f}" for stage in found["stages"].values())
        lines.append(f"  {name:<22}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # so that `python benchmarks/speed.py` finds ser_core too
    typer.run(main)
