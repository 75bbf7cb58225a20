"""Ways from a file to emotions, timed in turn, and the stages of our own; `benchmarks.speed` prints both."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

WAV2VEC2_CLIPS = 20  # it takes long
OURS = "SER Studio"


def timed(action: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of `action`, after one run that is not counted."""
    action()
    return median(seconds_of(action) for _ in range(repeats))


def seconds_of(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one run."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


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
