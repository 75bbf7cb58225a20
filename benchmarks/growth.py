"""How cost grows: `python -m benchmarks.growth` prints slopes and draws assets/growth.png.

Writes results/growth.json too. Time and memory against the length of a recording, the clips given to the
model at once, the number of files, and the number of live users (those are read from results/live.json).
Each point is a process of its own: memory is what its first run added at most to that of the loaded model
(Linux only), time the median of the runs after it. A slope is that of the line through the logarithms: 1 is
linear, more would be worse. None may exceed MOST; the exit code says so.
"""

import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.processes import peak_mb_of
from benchmarks.speed import ROOT, SAMPLE_RATE, clip_paths, machine, recording
from benchmarks.ways import seconds_of

RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
LIVE = ROOT / "benchmarks" / "results" / "live.json"
FIGURE = ROOT / "assets" / "growth.png"
LENGTHS_S = (15, 30, 60, 120, 240, 480)  # of a recording
BATCHES = (1, 2, 4, 8, 16, 32, 64)  # clips of CLIP_S given to the model at once
FILES = (2, 4, 8, 16, 32, 64, 128)
CLIP_S = 3.0
LEAST_MB = 1.0  # less is not told apart from the allocator's own steps
MOST = 1.1  # the steepest slope that passes for linear, with room for noise
MEMORY_MB = (1, 1000)  # of the figure's axis
TIME, MEMORY = "#0072B2", "#D55E00"  # blue and orange of Okabe and Ito (2008)


@dataclass(frozen=True)
class Point:
    """What one size takes."""

    size: float
    seconds: float
    megabytes: float  # beyond what is held without it


@dataclass(frozen=True)
class Growth:
    """A panel of the figure."""

    of: str
    timed: str  # what `seconds` are
    points: list[Point]

    def slopes(self) -> tuple[float, float]:
        """How time and memory grow, on logarithmic axes."""
        sizes = [point.size for point in self.points]
        return (
            slope(sizes, [point.seconds for point in self.points]),
            slope(sizes, [point.megabytes for point in self.points]),
        )


def main(
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    repeats: Annotated[int, typer.Option(help="Times that each point's time is measured.")] = 5,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
    picture: Annotated[Path, typer.Option(help="Where the picture goes.")] = FIGURE,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = partial(in_fresh_process, model=model, repeats=repeats)
        recordings = [recording(folder, seconds / 60)[1] for seconds in LENGTHS_S]
        files = list(islice(clip_paths(folder), max(FILES)))
        every = [
            Growth("length of a recording (s)", "analysis", alone(LENGTHS_S, [[one] for one in recordings])),
            Growth(f"clips of {CLIP_S:g} s at once", "model", alone(BATCHES, list(BATCHES))),
            Growth("files", "analysis", alone(FILES, [files[:count] for count in FILES])),
            live_users(json.loads(LIVE.read_text(encoding="utf-8"))),
        ]
    found: dict[str, Any] = {"machine": machine(), "model": model, "repeats": repeats}
    found["growth"] = [
        {**asdict(growth), "slopes": dict(zip(("time", "memory"), growth.slopes(), strict=True))}
        for growth in every
    ]
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    figure(every).savefig(picture, dpi=80)
    print(table(every))
    if any(value > MOST for growth in every for value in growth.slopes()):
        raise typer.Exit(1)


def in_fresh_process(sizes: Sequence[int], works: Sequence[Any], model: str, repeats: int) -> list[Point]:
    """What each of `works` takes, one after another: files to analyse, or a number of clips."""
    points = []
    for size, work in zip(sizes, works, strict=True):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            points.append(Point(size, *process.submit(cost, work, model, repeats).result()))
    return points


def cost(work: int | list[Path], model: str, repeats: int) -> tuple[float, float]:
    """Seconds and megabytes that `work` takes in this process, which has done nothing else."""
    from ser_core import Recognizer

    recognizer = Recognizer.load(model, "cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, int(CLIP_S * SAMPLE_RATE)).astype(np.float32)
    recognizer.probabilities([noise[:SAMPLE_RATE]])  # what the first result loads is not the size's
    clips = [noise.copy() for _ in range(work)] if isinstance(work, int) else []

    def action() -> None:
        if isinstance(work, int):
            recognizer.probabilities(clips)
        else:
            list(recognizer.analyze_files(work))

    megabytes = peak_mb_of(action)
    return median(seconds_of(action) for _ in range(repeats)), max(LEAST_MB, megabytes)


def live_users(live: dict[str, Any]) -> Growth:
    """What `benchmarks.live` found: latency of final results, memory of the server."""
    points = [
        Point(
            run["sessions"],
            run["final_ms"]["p95"] / 1000,
            max(LEAST_MB, run["server_mb_after"] - run["server_mb_before"]),
        )
        for run in live["load"]
    ]
    return Growth("live users", "95 % of final results within", points)


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of the straight line through the logarithms.

    >>> round(slope([1, 10, 100], [3, 30, 300]), 6)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def table(every: Sequence[Growth]) -> str:
    """The figures as text."""
    lines = []
    for growth in every:
        time, memory = growth.slopes()
        lines.append(f"{growth.of}: slope {time:.2f} in time, {memory:.2f} in memory")
        lines += [f"{p.size:>10g}{p.seconds:>10.3f} s{p.megabytes:>9.1f} MB" for p in growth.points]
    return "\n".join(lines)


def figure(every: Sequence[Growth]) -> Figure:
    """A panel each: time solid, memory dashed, both on logarithmic axes; grey is what linear would be."""
    drawn = Figure(figsize=(10, 6.4), layout="constrained")
    for axes, growth in zip(drawn.subplots(2, 2).flat, every, strict=True):
        sizes = [point.size for point in growth.points]
        axes.loglog(sizes, [point.seconds for point in growth.points], "o-", color=TIME)
        axes.set_ylabel(f"s, {growth.timed}", color=TIME)
        linear(axes, growth)
        held = axes.twinx()
        held.loglog(sizes, [point.megabytes for point in growth.points], "s--", color=MEMORY)
        held.set_ylabel("MB beyond the loaded model", color=MEMORY)
        held.set_ylim(MEMORY_MB)
        for one in (axes, held):
            one.yaxis.set_major_formatter("{x:g}")
            one.minorticks_off()
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.set_xlabel(growth.of)
        axes.set_title("slopes: time {:.2f}, memory {:.2f}".format(*growth.slopes()), fontsize=10)
    return drawn


def linear(axes: Axes, growth: Growth) -> None:
    """What time would be if it grew as the size does, from the last point back."""
    last = growth.points[-1]
    sizes = [point.size for point in growth.points]
    axes.loglog(sizes, [last.seconds * size / last.size for size in sizes], ":", color="#9aa3ad")


if __name__ == "__main__":
    typer.run(main)
