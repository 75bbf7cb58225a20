"""Hours in the life of the app, shortened: `python -m benchmarks.soak` writes benchmarks/results/soak.json.

Visitors open the page, send clips of 2 to 8 s, close it and come again; among the clips are broken ones; a
program sends with gradio_client; live sessions follow one another. Results are compared with the library's.
Every few seconds it is noted what the server and its workers hold: memory, descriptors, files. Growth is
from the first quarter after the warm-up to the last quarter (medians). In the end everybody leaves, and the
uploads must go.
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
EVERY_S = 2.2  # each of them sends a clip, and the program does
LENGTHS_S, CLIPS = (2.0, 8.0), 16
LIVE_S = 30.0  # of each live session
NOTED_S = 2.0
NOTES = 60  # of those that are written down
WARM_UP_SHARE = 0.2  # of the whole; everything has run by then, and every thread has begun
MOST_GROWTH = 0.05
EMPTY_S = 120.0  # in which the uploads of those who left must be gone
BROKEN = {"text.wav": b"not a recording " * 40, "cut.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ", "empty.wav": b""}


@dataclass(frozen=True)
class Note:
    """What the server holds at a time (s since the beginning)."""

    at_s: float
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
            found = asyncio.run(soak(address, process.pid, clips, talk, 60 * minutes, folder / "uploads"))
    found = {"machine": machine(), "model": model, "minutes": minutes, **found}
    print(told(found))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


async def soak(
    address: str, pid: int, clips: Sequence[Sample], talk: live.Talk, seconds: float, uploads: Path
) -> dict[str, Any]:
    """Everything at once for `seconds`, and what was noted meanwhile and afterwards."""
    began = time.monotonic()
    end = began + seconds
    before = note(pid, uploads, began)
    notes: list[Note] = []
    watching = asyncio.create_task(watch(pid, uploads, began, notes))
    reports, *tallies = await asyncio.gather(
        speak(address, talk, end),
        users.regular(address, 3, clips, EVERY_S, end),
        *(users.visitor(address, number, clips, EVERY_S, end) for number in range(VISITORS)),
    )
    watching.cancel()
    emptied_s = await emptied(uploads)
    tally: Tally = users.together(tallies)
    settled = [one for one in notes if one.at_s >= WARM_UP_SHARE * seconds]
    quarter = max(1, len(settled) // 4)
    first, last = settled[:quarter], settled[-quarter:]
    return {
        **summary(tally),
        "live": {
            "sessions": len(reports),
            "lost_finals": sum(report.lost_finals for report in reports),
            "lost_samples": sum(report.lost_samples for report in reports),
            "errors": sorted({error for report in reports for error in report.errors}),
        },
        "growth": median(one.mb for one in last) / median(one.mb for one in first) - 1,
        "descriptors_first": median(one.descriptors for one in first),
        "descriptors_last": median(one.descriptors for one in last),
        "uploads_gone_s": emptied_s,
        "before": asdict(before),
        "after": asdict(note(pid, uploads, began)),
        "notes": [asdict(one) for one in notes[:: max(1, len(notes) // NOTES)]],
    }


async def speak(address: str, talk: live.Talk, end: float) -> list[live.Report]:
    """Live sessions, one after the other."""
    reports = []
    while time.monotonic() < end - LIVE_S / 2:
        reports.append(await live.speak(live.live_address(address), talk, 0.0))
    return reports


async def watch(pid: int, uploads: Path, began: float, notes: list[Note]) -> None:
    """Notes what the server holds, again and again."""
    while True:
        await asyncio.sleep(NOTED_S)
        notes.append(note(pid, uploads, began))


def note(pid: int, uploads: Path, began: float) -> Note:
    """What the server holds now."""
    return Note(round(time.monotonic() - began, 1), tree_mb(pid), descriptors(pid), len(held(uploads)))


def held(uploads: Path) -> list[Path]:
    """The recordings that the server keeps; what has just gone is not counted."""
    return [path for path in uploads.rglob("*") if path.is_file() and path.suffix != ".lock"]


async def emptied(uploads: Path) -> float | None:
    """How long the uploads of those who left still lay there; None if longer than EMPTY_S."""
    left = time.monotonic()
    while time.monotonic() - left < EMPTY_S:
        if not held(uploads):
            return round(time.monotonic() - left, 1)
        await asyncio.sleep(1.0)
    return None


def told(found: dict[str, Any]) -> str:
    """The figures in words."""
    grown = found["growth"]
    words = [
        f"{found['asked']} analyses in {found['minutes']:g} min: {found['ok']} right, "
        f"{len(found['wrong'])} wrong, {found['refused']} refused, {found['lost']} lost, "
        f"{len(found['errors'])} errors",
        f"{found['live']['sessions']} live sessions: {found['live']['lost_finals']} finals and "
        f"{found['live']['lost_samples']} samples lost",
        f"memory {100 * grown:+.1f} % ({'flat' if grown <= MOST_GROWTH else 'it grows'}), from "
        f"{found['before']['mb']:.0f} to {found['after']['mb']:.0f} MB with the warm-up",
        f"descriptors {found['descriptors_first']:g}, at last {found['descriptors_last']:g}; "
        f"when all had left {found['after']['descriptors']} "
        f"({found['before']['descriptors']} before anybody came)",
        f"uploads: {found['after']['files']} left, gone {found['uploads_gone_s']} s after everybody",
    ]
    return "\n".join(words)


if __name__ == "__main__":
    typer.run(main)
