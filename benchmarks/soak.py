"""A soak test of the app: `python -m benchmarks.soak` writes benchmarks/results/soak.json.

Visitors open the page, send clips of 2 to 8 s, some of them broken, close it and return. A program sends with
gradio_client. Live sessions follow one another. Results are compared with the library's. Memory, descriptors
and files of the server and its workers are sampled every few seconds. Growth is from the first quarter after
the warm-up to the last quarter (medians). At the end all clients leave, and their uploads must be deleted.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import live, users
from benchmarks.load import summary
from benchmarks.processes import descriptors, tree_mb
from benchmarks.running_app import running_app
from benchmarks.speed import clip_paths, machine
from benchmarks.users import Sample, Tally
from ser_core.export.json import to_dict
from ser_core.recognition.recognizer import Recognizer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "soak.json"
VISITORS = 3
EVERY_S = 2.2  # interval between the clips of each visitor, and of the program
LENGTHS_S, CLIPS = (2.0, 8.0), 16
LIVE_S = 30.0  # of each live session
SAMPLE_INTERVAL_S = 2.0
MAX_SAMPLES = 60  # that are written to the results
WARM_UP_SHARE = 0.2  # of the duration; by then everything has run and every thread has started
MOST_GROWTH = 0.05
EMPTY_S = 120.0  # within this time the uploads of clients that left must be deleted
BROKEN = {"text.wav": b"not a recording " * 40, "cut.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ", "empty.wav": b""}


@dataclass(frozen=True)
class Usage:
    """Resources of the server at a time."""

    at_s: float  # since the start
    mb: float
    descriptors: int
    files: int


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 30.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recognizer = Recognizer.load(model, "cpu")
        clips = users.samples(folder, recognizer, np.linspace(*LENGTHS_S, CLIPS).tolist())
        for name, content in BROKEN.items():
            (folder / name).write_bytes(content)
            clips.append(Sample(folder / name, to_dict(recognizer.analyze_file(folder / name))))
        sounds = [path for _, path in zip(range(live.CLIPS), clip_paths(folder), strict=False)]
        talk = live.plan(live.speech(sounds, 0, LIVE_S))
        del recognizer
        with running_app(model, folder) as (address, process):
            report = asyncio.run(soak(address, process.pid, clips, talk, 60 * minutes, folder / "uploads"))
    report = {"machine": machine(), "model": model, "minutes": minutes, **report}
    print(summary_text(report))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


async def soak(
    address: str, pid: int, clips: Sequence[Sample], talk: live.Talk, seconds: float, uploads: Path
) -> dict[str, Any]:
    """Runs all clients for `seconds`, and samples the server's resources."""
    started = time.monotonic()
    end = started + seconds
    before = usage(pid, uploads, started)
    samples: list[Usage] = []
    sampler = asyncio.create_task(watch(pid, uploads, started, samples))
    reports, *tallies = await asyncio.gather(
        speak(address, talk, end),
        users.regular(address, 3, clips, EVERY_S, end),
        *(users.visitor(address, number, clips, EVERY_S, end) for number in range(VISITORS)),
    )
    sampler.cancel()
    deleted_after_s = await deletion_s(uploads)
    tally: Tally = users.merged(tallies)
    steady = [sample for sample in samples if sample.at_s >= WARM_UP_SHARE * seconds]
    quarter = max(1, len(steady) // 4)
    first, last = steady[:quarter], steady[-quarter:]
    return {
        **summary(tally),
        "live": {
            "sessions": len(reports),
            "lost_finals": sum(report.lost_finals for report in reports),
            "lost_samples": sum(report.lost_samples for report in reports),
            "errors": sorted({error for report in reports for error in report.errors}),
        },
        "growth": median(sample.mb for sample in last) / median(sample.mb for sample in first) - 1,
        "descriptors_first": median(sample.descriptors for sample in first),
        "descriptors_last": median(sample.descriptors for sample in last),
        "uploads_gone_s": deleted_after_s,
        "before": asdict(before),
        "after": asdict(usage(pid, uploads, started)),
        "notes": [asdict(sample) for sample in samples[:: max(1, len(samples) // MAX_SAMPLES)]],
    }


async def speak(address: str, talk: live.Talk, end: float) -> list[live.Report]:
    """Runs live sessions, one after the other."""
    reports = []
    while time.monotonic() < end - LIVE_S / 2:
        reports.append(await live.speak(live.live_address(address), talk, 0.0))
    return reports


async def watch(pid: int, uploads: Path, started: float, samples: list[Usage]) -> None:
    """Samples the server's resources regularly."""
    while True:
        await asyncio.sleep(SAMPLE_INTERVAL_S)
        samples.append(usage(pid, uploads, started))


def usage(pid: int, uploads: Path, started: float) -> Usage:
    """The server's resources now."""
    at_s = round(time.monotonic() - started, 1)
    return Usage(at_s, tree_mb(pid), descriptors(pid), len(uploaded_files(uploads)))


def uploaded_files(uploads: Path) -> list[Path]:
    """The recordings in the upload folder, ignoring entries that are being deleted."""
    return [path for path in uploads.rglob("*") if path.is_file() and path.suffix != ".lock"]


async def deletion_s(uploads: Path) -> float | None:
    """After how many seconds all uploads were deleted; None if later than EMPTY_S."""
    started = time.monotonic()
    while time.monotonic() - started < EMPTY_S:
        if not uploaded_files(uploads):
            return round(time.monotonic() - started, 1)
        await asyncio.sleep(1.0)
    return None


def summary_text(report: dict[str, Any]) -> str:
    """The results as text."""
    growth = report["growth"]
    lines = [
        f"{report['asked']} analyses in {report['minutes']:g} min: {report['ok']} right, "
        f"{len(report['wrong'])} wrong, {report['refused']} refused, {report['lost']} lost, "
        f"{len(report['errors'])} errors",
        f"{report['live']['sessions']} live sessions: {report['live']['lost_finals']} finals and "
        f"{report['live']['lost_samples']} samples lost",
        f"memory {100 * growth:+.1f} % ({'flat' if growth <= MOST_GROWTH else 'it grows'}), from "
        f"{report['before']['mb']:.0f} to {report['after']['mb']:.0f} MB with the warm-up",
        f"descriptors {report['descriptors_first']:g}, at last {report['descriptors_last']:g}; "
        f"when all had left {report['after']['descriptors']} "
        f"({report['before']['descriptors']} before anybody came)",
        f"uploads: {report['after']['files']} left, gone {report['uploads_gone_s']} s after everybody",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
