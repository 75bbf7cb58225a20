"""Speed of an earlier version compared with this one: `python -m benchmarks.versions FOLDER`.

FOLDER holds the earlier `ser_core` (`git archive COMMIT ser_core | tar x -C FOLDER`). Both run the present
default checkpoint on the same ten minutes of speech, in processes that take turns. With `--checkpoint
FOLDER/checkpoints/default` the earlier version runs its own; with `--voices auto` both tell voices apart.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.speed import ROOT, recording
from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT

CODE = """
import sys, time
from ser_core import Recognizer
from ser_core.recognition.recording import VoiceOptions
recognizer, options = Recognizer.load(sys.argv[1]), VoiceOptions.named(sys.argv[3])
for _ in range(2):  # the first warms up
    began = time.perf_counter()
    analysis = recognizer.analyze_file(sys.argv[2], options=options)
    seconds = time.perf_counter() - began
assert analysis.error is None, analysis.error
print(seconds)
"""


def main(
    folder: Annotated[Path, typer.Argument(help="Holds the earlier ser_core.")],
    checkpoint: Annotated[Path, typer.Option(help="The earlier version's.")] = CHECKPOINTS / DEFAULT,
    voices: Annotated[str, typer.Option(help="one, or auto: told apart in both versions.")] = "one",
    minutes: Annotated[float, typer.Option(help="Length of the file.")] = 10.0,
    repeats: Annotated[int, typer.Option(help="Times each is measured.")] = 5,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        _, path, seconds = recording(Path(name), minutes)
        rounds = [
            (
                speed(folder, checkpoint, path, seconds, voices),
                speed(ROOT, CHECKPOINTS / DEFAULT, path, seconds, voices),
            )
            for _ in range(repeats)
        ]
    for which, speeds in zip((folder, "now"), zip(*rounds, strict=True), strict=True):
        print(f"{median(speeds):>9.1f} times real time: {which}")
    print(f"{median(now / then for then, now in rounds):>9.2f} times as fast")


def speed(checkout: Path, checkpoint: Path, path: Path, seconds: float, voices: str) -> float:
    """Times real time of the `ser_core` in `checkout`, without loading the model."""
    process = subprocess.run(
        [sys.executable, "-c", CODE, str(checkpoint.resolve()), str(path), voices],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return seconds / float(process.stdout)


if __name__ == "__main__":
    typer.run(main)
