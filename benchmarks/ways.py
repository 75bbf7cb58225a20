"""Ways from a file to emotions, timed in turn, and the stages of our own; `benchmarks.speed` prints both."""

import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

WAV2VEC2_CLIPS = 10  # it takes long
OURS = "SER Studio"
SMALL = "small"  # the checkpoint for weak machines


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
) -> dict[str, dict[str, float]]:
    """Ways from bytes on disk to emotions, models being loaded: how fast each is, and beside the rivals.

    `against` a rival: how many times as much sound as it a way gets through in the same time and round.
    """
    from benchmarks import rivals
    from ser_core import Recognizer

    few = clips[:WAV2VEC2_CLIPS]
    ours = {
        OURS: Recognizer.load(model),
        f"{OURS} --precision bfloat16": Recognizer.load(model, precision="bfloat16"),
        f"{OURS} --model {SMALL}": Recognizer.load(SMALL),
        f"{OURS} --model {SMALL} --precision bfloat16": Recognizer.load(SMALL, precision="bfloat16"),
        **exported(model, folder),
    }
    against = {
        rivals.LINEAGE: (rivals.lineage(clips), seconds),
        rivals.WHOLE_JOB: (rivals.whole_job(path), seconds),
        rivals.WAV2VEC2: (rivals.wav2vec2(few), len(few) / len(clips) * seconds),
    }
    tried: dict[str, tuple[Callable[[], object], float]] = {
        **{name: (partial(made.analyze_file, path), seconds) for name, made in ours.items()},
        **against,
    }
    rounds = []
    for _ in range(repeats + 1):
        rounds.append({name: length / seconds_of(action) for name, (action, length) in tried.items()})
    del rounds[0]  # it warms up
    return {
        name: {
            "times_real_time": median(one[name] for one in rounds),
            **{rival: median(one[name] / one[rival] for one in rounds) for rival in against},
        }
        for name in tried
    }


def exported(model: str, folder: Path) -> dict[str, Any]:
    """The recognisers of the checkpoint's ONNX files; none where they cannot be made."""
    from ser_core import Recognizer
    from ser_core.checkpoint import bundle
    from train.errors import RunError
    from train.export import onnx

    copy = folder / "onnx"
    shutil.copytree(bundle.read(model).path, copy)
    try:
        onnx.write(copy)
    except RunError as error:
        print(error, file=sys.stderr)
        return {}
    return {f"{OURS} --runtime {name}": Recognizer.load(copy, runtime=name) for name in ("onnx", "onnx-int8")}


def stages(path: Path, model: str, repeats: int) -> dict[str, float]:
    """Seconds of each stage on its way through the file."""
    import torch

    from ser_core import Recognizer
    from ser_core.audio import decode
    from ser_core.audio.quality import QualityMeter
    from ser_core.audio.speech import SpeechStream
    from ser_core.audio.vad import Segmenter
    from ser_core.models.session import Session
    from ser_core.recognition.torch_runtime import batches

    def each(block_taker: Any) -> list[Any]:
        return [found for block in blocks for found in block_taker.push(block) or []]

    blocks = list(decode.stream(path))
    clips = [clip.samples for clip in each(SpeechStream())]
    runtime = Recognizer.load(model, "cpu").runtime

    def features() -> None:
        with torch.inference_mode():
            for batch in batches(sorted(clips, key=len), runtime.device):
                runtime.features(batch)

    def recognised(name: str, precision: str) -> float:
        runtime = Recognizer.load(name, "cpu", precision).runtime
        session = Session()
        return timed(lambda: runtime.in_sessions(clips, [session] * len(clips), [True] * len(clips)), repeats)

    found = {
        "decoding": timed(lambda: list(decode.stream(path)), repeats),
        "speech detection": timed(lambda: each(Segmenter()), repeats),
        "quality": timed(lambda: each(QualityMeter()), repeats),
        "features": timed(features, repeats),
    }
    for name, precision in ((model, "float32"), (model, "bfloat16"), (SMALL, "float32")):
        what = f"encoder and heads of {name} in {precision}"
        found[what] = recognised(name, precision) - found["features"]
    return found
