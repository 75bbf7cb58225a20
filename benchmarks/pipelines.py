"""Pipelines from a file to emotions, timed in turn, and the stages of SER Studio's own."""

import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

WAV2VEC2_CLIPS = 10  # few, because it is slow
OURS = "SER Studio"
SMALL = "small"  # the checkpoint for slow machines


def timed(action: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of `action`, after one run that is not counted."""
    action()
    return median(seconds_of(action) for _ in range(repeats))


def seconds_of(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one run."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def pipelines(
    clips: list[Path], path: Path, seconds: float, model: str, folder: Path, repeats: int
) -> dict[str, dict[str, float]]:
    """Speed of each pipeline from files to emotions, with models loaded, and relative to the baselines.

    Returns for each pipeline `times_real_time`, and by the name of each baseline the ratio of their speeds in
    the same round.
    """
    from benchmarks import baselines
    from ser_core import Recognizer

    few = clips[:WAV2VEC2_CLIPS]
    ours = {
        OURS: Recognizer.load(model),
        f"{OURS} --precision bfloat16": Recognizer.load(model, precision="bfloat16"),
        f"{OURS} --model {SMALL}": Recognizer.load(SMALL),
        f"{OURS} --model {SMALL} --precision bfloat16": Recognizer.load(SMALL, precision="bfloat16"),
        **exported(model, folder),
    }
    baseline_actions = {
        baselines.LINEAGE: (baselines.lineage(clips), seconds),
        baselines.WHOLE_JOB: (baselines.whole_job(path), seconds),
        baselines.WAV2VEC2: (baselines.wav2vec2(few), len(few) / len(clips) * seconds),
    }
    actions: dict[str, tuple[Callable[[], object], float]] = {
        **{name: (partial(recognizer.analyze_file, path), seconds) for name, recognizer in ours.items()},
        **baseline_actions,
    }
    rounds = []
    for _ in range(repeats + 1):
        rounds.append({name: length / seconds_of(action) for name, (action, length) in actions.items()})
    del rounds[0]  # a warm-up
    return {
        name: {
            "times_real_time": median(speeds[name] for speeds in rounds),
            **{
                baseline: median(speeds[name] / speeds[baseline] for speeds in rounds)
                for baseline in baseline_actions
            },
        }
        for name in actions
    }


def exported(model: str, folder: Path) -> dict[str, Any]:
    """The recognisers of the checkpoint's ONNX files; empty if they cannot be exported."""
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
    """Seconds of each stage for the file."""
    import torch

    from ser_core import Recognizer
    from ser_core.audio import decode
    from ser_core.audio.quality import QualityMeter
    from ser_core.audio.speech import SpeechStream
    from ser_core.audio.vad import Segmenter
    from ser_core.models.session import Session
    from ser_core.recognition.torch_runtime import batches

    def push_all(consumer: Any) -> list[Any]:
        return [item for block in blocks for item in consumer.push(block) or []]

    blocks = list(decode.stream(path))
    clips = [clip.samples for clip in push_all(SpeechStream())]
    runtime = Recognizer.load(model, "cpu").runtime

    def features() -> None:
        with torch.inference_mode():
            for batch in batches(sorted(clips, key=len), runtime.device):
                runtime.features(batch)

    def recognised(name: str, precision: str) -> float:
        runtime = Recognizer.load(name, "cpu", precision).runtime
        session = Session()
        return timed(lambda: runtime.in_sessions(clips, [session] * len(clips), [True] * len(clips)), repeats)

    seconds = {
        "decoding": timed(lambda: list(decode.stream(path)), repeats),
        "speech detection": timed(lambda: push_all(Segmenter()), repeats),
        "quality": timed(lambda: push_all(QualityMeter()), repeats),
        "features": timed(features, repeats),
    }
    for name, precision in ((model, "float32"), (model, "bfloat16"), (SMALL, "float32")):
        what = f"encoder and heads of {name} in {precision}"
        seconds[what] = recognised(name, precision) - seconds["features"]
    return seconds
