"""Coverage-guided fuzzing of the decoder, one format after the other, seeded with the corpus of bad files.

`python -m benchmarks.fuzz_decoder --minutes 60` needs `pip install "atheris>=3,<4"`. The fuzzer's corpora and
finds are kept in runs/fuzz, where another call continues. benchmarks/results/fuzz.json is written after each
turn. A find is a file that causes a crash, an exception, a timeout or too much memory.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.speed import machine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from bad_files import corpus  # noqa: E402
from bad_inputs import COARSE, FORMATS, good  # noqa: E402

from ser_core.audio.formats import kind_of  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "fuzz.json"
FAMILIES = (
    *("wav", "flac", "ogg", "mp3", "mp4", "webm"),
    *("aiff", "au", "caf", "w64", "aac", "amr", "asf", "avi", "mpegts"),
)
TURN_S = 120.0  # time for one format before the next
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
    formats: Annotated[str, typer.Option(help="these only, separated by commas")] = ",".join(FAMILIES),
) -> None:
    """Fuzzes the formats in turn, and prints and writes a summary."""
    families = formats.split(",")
    if unknown := set(families) - set(FAMILIES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the formats are {', '.join(FAMILIES)}")
    write_seeds(folder)
    log = folder / "log.jsonl"
    deadline = time.monotonic() + 60 * minutes
    while time.monotonic() < deadline:
        for family in families:
            seconds = min(TURN_S, deadline - time.monotonic())
            if seconds < 1:
                break
            for run in turn(folder / family, seconds):
                with log.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps({"family": family, **run}) + "\n")
                out.write_text(summary(log, minutes, formats), encoding="utf-8")
                typer.echo(f"{family}: {run}")
    out.write_text(summary(log, minutes, formats), encoding="utf-8")
    typer.echo(out.read_text(encoding="utf-8"))


def write_seeds(folder: Path) -> None:
    """Writes the good and the bad files of each format to a folder of its own."""
    files = [*((name, good(name)) for name in FORMATS | COARSE), *corpus()]
    for number, (_, content) in enumerate(files):
        seeds = folder / family_of(content) / "seeds"
        seeds.mkdir(parents=True, exist_ok=True)
        (seeds / f"{number:04d}").write_bytes(content)


def family_of(content: bytes) -> str:
    """The format of `content` by its first bytes; MP3, which has no magic number, for all others."""
    kind = kind_of(content) or "mp3"
    return {"mov": "mp4", "matroska": "webm", "rifx": "wav"}.get(kind, kind)


def turn(folder: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """Fuzzes one format for `seconds`. libFuzzer ends at a find, and is restarted while time is left."""
    for name in ("corpus", "finds"):
        (folder / name).mkdir(exist_ok=True)
    deadline = time.monotonic() + seconds
    while (remaining := int(deadline - time.monotonic())) > 0:
        command = [
            sys.executable,
            "-m",
            "benchmarks.fuzz_target",
            folder / "corpus",
            folder / "seeds",
            *OPTIONS,
        ]
        command += [f"-max_total_time={remaining}", f"-artifact_prefix={folder / 'finds'}/"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        started, used = time.monotonic(), processor_s()
        process = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace"
        )
        executions = re.findall(r"number_of_executed_units: (\d+)|^#(\d+)\t", process.stderr, re.MULTILINE)
        (folder / "last.log").write_text(process.stderr, encoding="utf-8")
        find = re.search(r"Test unit written to (.*)", process.stderr)
        output = process.stdout + process.stderr
        if process.returncode and not find:
            raise RuntimeError(f"the fuzzer failed:\n{process.stderr[-2000:]}")
        yield {
            "seconds": round(time.monotonic() - started, 1),
            "processor_s": round(processor_s() - used, 1),
            "executions": max((int(a or b) for a, b in executions), default=0),
            "find": Path(find[1]).name if find else None,
            "what": what[1] if (what := re.search(r"Uncaught Python exception: ===\n(.*)", output)) else None,
        }


def processor_s() -> float:
    """Processor time of the child processes that ended, in seconds; a busy machine gives few."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def summary(log: Path, minutes: float, formats: str) -> str:
    """The results of all turns in `log`, as JSON. A find is counted each time that it occurs."""
    turns = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    families = {}
    for family in dict.fromkeys(run["family"] for run in turns):
        family_turns = [run for run in turns if run["family"] == family]
        families[family] = {
            "minutes": round(sum(run["seconds"] for run in family_turns) / 60, 1),
            "processor_minutes": round(sum(run["processor_s"] for run in family_turns) / 60, 1),
            "executions": sum(run["executions"] for run in family_turns),
            "finds": Counter(run["find"].partition("-")[0] for run in family_turns if run["find"]),
        }
    report = {
        "command": f"python -m benchmarks.fuzz_decoder --minutes {minutes:g} --formats {formats}",
        "ended": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "atheris": version("atheris"),
        "instrumented": "ser_core and soundfile (Python); libsndfile and FFmpeg are not",
        "minutes": round(sum(run["seconds"] for run in turns) / 60, 1),
        "executions": sum(run["executions"] for run in turns),
        "families": families,
    }
    return json.dumps(report, indent=2) + "\n"


if __name__ == "__main__":
    typer.run(main)
