"""Coverage-guided fuzzing of the decoder, every format in its turn, seeded with the corpus of bad files.

`python -m benchmarks.fuzz_decoder --minutes 60` needs `pip install "atheris>=3,<4"`. It keeps what it learns
and finds in runs/fuzz, goes on from there when it is called again, and writes benchmarks/results/fuzz.json
after each turn. A find is a file that ended in a crash, a traceback, an overrun or too much memory.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.speed import machine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from bad_files import corpus  # noqa: E402
from bad_inputs import FORMATS, good  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "fuzz.json"
MAGIC = {b"RIFF": "wav", b"RF64": "wav", b"fLaC": "flac", b"OggS": "ogg", b"\x1aE\xdf\xa3": "webm"}
FAMILIES = ("wav", "flac", "ogg", "mp3", "mp4", "webm")
TURN_S = 120.0  # a format is fuzzed for so long before the next one has its turn
OPTIONS = (
    "-max_len=65536",  # bytes: a second of sound in most formats
    "-timeout=20",  # s, of one file
    "-rss_limit_mb=400",
    "-print_final_stats=1",
    "-verbosity=1",
)


def main(
    minutes: Annotated[float, typer.Option(help="in total, over all formats")] = 60.0,
    folder: Annotated[Path, typer.Option(help="where the corpora and the finds are kept")] = Path(
        "runs/fuzz"
    ),
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
) -> None:
    """Fuzzes, and prints and writes how much was tried and what was found."""
    write_seeds(folder)
    log = folder / "log.jsonl"
    ends = time.monotonic() + 60 * minutes
    while time.monotonic() < ends:
        for family in FAMILIES:
            seconds = min(TURN_S, ends - time.monotonic())
            if seconds < 1:
                break
            for told in turn(folder / family, seconds):
                with log.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps({"family": family, **told}) + "\n")
                out.write_text(summary(log), encoding="utf-8")
                typer.echo(f"{family}: {told}")
    out.write_text(summary(log), encoding="utf-8")
    typer.echo(out.read_text(encoding="utf-8"))


def write_seeds(folder: Path) -> None:
    """The good and the bad files of each format, each format's in a folder of its own."""
    everything = [*((name, good(name)) for name in FORMATS), *corpus()]
    for number, (_, content) in enumerate(everything):
        place = folder / family_of(content) / "seeds"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:04d}").write_bytes(content)


def family_of(content: bytes) -> str:
    """The format that `content` is nearest to; MP3, which has no magic, where that is none."""
    return "mp4" if content[4:8] == b"ftyp" else MAGIC.get(content[:4], "mp3")


def turn(folder: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """Fuzzes one format; libFuzzer ends at a find, and is started again while there is time."""
    for name in ("corpus", "finds"):
        (folder / name).mkdir(exist_ok=True)
    ends = time.monotonic() + seconds
    while (left := int(ends - time.monotonic())) > 0:
        command = [
            sys.executable,
            "-m",
            "benchmarks.fuzz_target",
            folder / "corpus",
            folder / "seeds",
            *OPTIONS,
        ]
        command += [f"-max_total_time={left}", f"-artifact_prefix={folder / 'finds'}/"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace"
        )
        executions = re.findall(r"number_of_executed_units: (\d+)|^#(\d+)\t", done.stderr, re.MULTILINE)
        (folder / "last.log").write_text(done.stderr, encoding="utf-8")
        find = re.search(r"Test unit written to (.*)", done.stderr)
        told = done.stdout + done.stderr
        if done.returncode and not find:
            raise RuntimeError(f"the fuzzer failed:\n{done.stderr[-2000:]}")
        yield {
            "seconds": round(time.monotonic() - began, 1),
            "executions": max((int(a or b) for a, b in executions), default=0),
            "find": Path(find[1]).name if find else None,
            "what": what[1] if (what := re.search(r"Uncaught Python exception: ===\n(.*)", told)) else None,
        }


def summary(log: Path) -> str:
    """The figures of all turns in `log`, as JSON; a find counts as often as the fuzzer came across it."""
    turns = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    families = {}
    for family in FAMILIES:
        mine = [told for told in turns if told["family"] == family]
        families[family] = {
            "minutes": round(sum(told["seconds"] for told in mine) / 60, 1),
            "executions": sum(told["executions"] for told in mine),
            "finds": Counter(told["find"].partition("-")[0] for told in mine if told["find"]),
        }
    found = {
        "command": "python -m benchmarks.fuzz_decoder --minutes 60",
        "machine": machine(),
        "atheris": version("atheris"),
        "instrumented": "ser_core and soundfile (Python); libsndfile and FFmpeg are not",
        "minutes": round(sum(told["seconds"] for told in turns) / 60, 1),
        "executions": sum(told["executions"] for told in turns),
        "families": families,
    }
    return json.dumps(found, indent=2) + "\n"


if __name__ == "__main__":
    typer.run(main)
