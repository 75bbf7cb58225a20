"""How fast, how big: `python -m benchmarks.speed` prints the table and writes benchmarks/results/speed.json.

Speech is RAVDESS joined with pauses where ../shared/data is there, else generated vowels; the results say
which. Beside SER Studio runs what its lineage does with the same clips: librosa's features and a small
network, one clip at a time.
"""

import json
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
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
# The lineage's features: 3 s at 48 kHz, which give 282 frames.
LINEAGE_RATE, LINEAGE_WINDOW_S, LINEAGE_MFCC, LINEAGE_FFT, LINEAGE_HOP = 48_000, 3.0, 40, 1024, 512


def main(
    minutes: Annotated[float, typer.Option(help="Length of the file for the speed.")] = 10.0,
    long_minutes: Annotated[float, typer.Option(help="Length of the file for the memory.")] = 60.0,
    repeats: Annotated[int, typer.Option(help="Times the speed and the page are measured.")] = 3,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    found: dict[str, Any] = {"machine": machine(), "model": model, "repeats": repeats}
    found["speech"] = f"RAVDESS clips, {PAUSE_S} s apart" if RAVDESS.is_dir() else "generated vowels"
    with tempfile.TemporaryDirectory() as folder:
        # First what runs in other processes: on Linux a child's ru_maxrss starts at its parent's size, so
        # this one must not have loaded torch yet.
        found["import_s"] = import_time("import ser_core")
        found["import_recognizer_s"] = import_time("from ser_core import Recognizer")
        found["page_ready_s"] = page_ready(repeats)
        found["long_file"] = long_file(Path(folder), long_minutes, model)
        clips, path, seconds = recording(Path(folder), minutes)
        found["file_s"] = seconds
        found |= speed(path, seconds, model, repeats)
        found["lineage"] = lineage_speed(clips, seconds, repeats)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    packages = ("torch", "torchaudio", "librosa", "numpy", "soundfile", "gradio")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
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
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def import_time(statement: str) -> float:
    """Median seconds of a fresh interpreter that runs `statement` and ends."""
    return timed(lambda: subprocess.run([sys.executable, "-c", statement], cwd=ROOT, check=True), repeats=5)


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


def speed(path: Path, seconds: float, model: str, repeats: int) -> dict[str, Any]:
    """SER Studio from bytes on disk to `Analysis`, the model being loaded."""
    from ser_core import Recognizer

    began = time.perf_counter()
    recognizer = Recognizer.load(model)
    loaded = time.perf_counter() - began
    elapsed = timed(lambda: recognizer.analyze_file(path), repeats)
    return {
        "architecture": recognizer.bundle.architecture,
        "parameters": recognizer.bundle.parameters,
        "device": str(recognizer.device),
        "load_s": loaded,
        "elapsed_s": elapsed,
        "times_real_time": seconds / elapsed,
    }


def lineage_speed(clips: list[Path], seconds: float, repeats: int) -> dict[str, Any]:
    """The usual pipeline on the same clips; the file's length counts, though it hears 3 s of each clip."""
    import librosa
    import torch

    network = lineage_network().eval()
    window = int(LINEAGE_WINDOW_S * LINEAGE_RATE)

    def run() -> None:
        for path in clips:
            samples, _ = librosa.load(path, sr=LINEAGE_RATE, duration=LINEAGE_WINDOW_S)
            samples = np.pad(samples, (0, window - len(samples)))
            mfcc = librosa.feature.mfcc(
                y=samples, sr=LINEAGE_RATE, n_mfcc=LINEAGE_MFCC, n_fft=LINEAGE_FFT, hop_length=LINEAGE_HOP
            )
            with torch.inference_mode():
                network(torch.from_numpy(mfcc)[None]).softmax(-1)

    elapsed = timed(run, repeats)
    return {
        "what": "librosa.load, librosa.feature.mfcc and parallel_2cnn_transformer, one 3 s clip at a time",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "clips": len(clips),
        "elapsed_s": elapsed,
        "times_real_time": seconds / elapsed,
    }


def lineage_network() -> Any:
    """`parallel_2cnn_transformer` with random weights, for its cost alone: 248,488 parameters."""
    import torch
    from torch import nn

    def stack() -> nn.Sequential:
        layers: list[nn.Module] = []
        for channels_in, channels_out, pool in ((1, 16, 2), (16, 32, 4), (32, 64, 4)):
            convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
            layers += [
                convolution,
                nn.BatchNorm2d(channels_out),
                nn.ReLU(),
                nn.MaxPool2d(pool),
                nn.Dropout(0.3),
            ]
        return nn.Sequential(*layers, nn.Flatten())  # (batch, 512)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = stack(), stack()
            self.pool = nn.MaxPool2d((1, 4))
            layer = nn.TransformerEncoderLayer(LINEAGE_MFCC, 4, 512, dropout=0.4, batch_first=True)
            self.transformer = nn.TransformerEncoder(layer, 4)
            self.head = nn.Linear(512 + 512 + LINEAGE_MFCC, 8)

        def forward(self, mfcc: torch.Tensor) -> torch.Tensor:
            image = mfcc[:, None]  # (batch, 1, coefficient, frame)
            steps = self.pool(image)[:, 0].transpose(1, 2)  # (batch, step, coefficient)
            parts = [self.first(image), self.second(image), self.transformer(steps).mean(1)]
            return self.head(torch.cat(parts, 1))

    return Network()


def table(found: dict[str, Any]) -> str:
    """The figures as text."""
    long, lineage, computer = found["long_file"], found["lineage"], found["machine"]
    page = found["page_ready_s"]
    rows = [
        ("machine", f"{computer['cpu']}, {computer['cores']} cores, Python {computer['python']}"),
        ("packages", ", ".join(f"{name} {number}" for name, number in computer["packages"].items())),
        ("speech", f"{found['speech']}; medians of {found['repeats']}"),
        ("model", f"{found['model']} ({found['architecture']}) on {found['device']}"),
        (f"{found['file_s'] / 60:.3g}-minute file", f"{found['elapsed_s']:.2f} s"),
        ("  times real time", f"{found['times_real_time']:.1f}"),
        ("usual pipeline", f"{lineage['elapsed_s']:.2f} s ({lineage['clips']} clips; {lineage['what']})"),
        ("  times real time", f"{lineage['times_real_time']:.1f}"),
        (f"{long['file_s'] / 60:.3g}-minute file", f"{long['peak_bytes'] / 1e9:.2f} GB of peak memory"),
        ("  times real time", f"{long['times_real_time']:.1f}"),
        ("import ser_core", f"{found['import_s']:.2f} s"),
        ("  with Recognizer", f"{found['import_recognizer_s']:.2f} s"),
        ("page answers after", "no page yet" if page is None else f"{page:.1f} s"),
    ]
    return "\n".join(f"{name:<20}{value}" for name, value in rows)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # so that `python benchmarks/speed.py` finds ser_core too
    typer.run(main)
