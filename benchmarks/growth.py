"""How cost grows with size: `python -m benchmarks.growth` prints slopes and draws assets/growth.png.

Writes results/growth.json too. Measured are time and memory against the length of a recording, the number of
clips in a batch, the number of files, and the number of live users (from results/live.json). Each point is
measured in a process of its own. Memory is the peak of the first run above that of the loaded model (Linux
only); time is the median of the runs after it. A slope is that of the line through the logarithms: 1 is
linear. If any slope exceeds MOST, the exit code is 1.
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

from benchmarks.pipelines import seconds_of
from benchmarks.processes import peak_mb_of
from benchmarks.speed import ROOT, SAMPLE_RATE, clip_paths, machine, recording

RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
LIVE = ROOT / "benchmarks" / "results" / "live.json"
FIGURE = ROOT / "assets" / "growth.png"
LENGTHS_S = (15, 30, 60, 120, 240, 480)  # of a recording
BATCHES = (1, 2, 4, 8, 16, 32, 64)  # clips of CLIP_S given to the model at once
FILES = (2, 4, 8, 16, 32, 64, 128)
CLIP_S = 3.0
LEAST_MB = 1.0  # less cannot be distinguished from the allocator's steps
MOST = 1.1  # the steepest slope that counts as linear; leaves room for noise
MEMORY_MB = (1, 1000)  # of the figure's axis
TIME, MEMORY = "#0072B2", "#D55E00"  # blue and orange of Okabe and Ito (2008)


@dataclass(frozen=True)
class Point:
    """Cost of one size."""

    size: float
    seconds: float
    megabytes: float  # above the memory of the loaded model


@dataclass(frozen=True)
class Growth:
    """One panel of the figure."""

    of: str
    timed: str  # what `seconds` measure
    points: list[Point]

    def slopes(self) -> tuple[float, float]:
        """Slopes of time and memory on logarithmic axes."""
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
        measure = partial(in_new_process, model=model, repeats=repeats)
        recordings = [recording(folder, seconds / 60)[1] for seconds in LENGTHS_S]
        files = list(islice(clip_paths(folder), max(FILES)))
        panels = [
            Growth("length of a recording (s)", "analysis", measure(LENGTHS_S, [[r] for r in recordings])),
            Growth(f"clips of {CLIP_S:g} s at once", "model", measure(BATCHES, list(BATCHES))),
            Growth("files", "analysis", measure(FILES, [files[:count] for count in FILES])),
            live_users(json.loads(LIVE.read_text(encoding="utf-8"))),
        ]
    report: dict[str, Any] = {"machine": machine(), "model": model, "repeats": repeats}
    report["growth"] = [
        {**asdict(growth), "slopes": dict(zip(("time", "memory"), growth.slopes(), strict=True))}
        for growth in panels
    ]
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    figure(panels).savefig(picture, dpi=80)
    print(table(panels))
    if any(value > MOST for growth in panels for value in growth.slopes()):
        raise typer.Exit(1)


def in_new_process(sizes: Sequence[int], works: Sequence[Any], model: str, repeats: int) -> list[Point]:
    """The cost of each of `works`, each in a new process. A work is a list of files or a number of clips."""
    points = []
    for size, work in zip(sizes, works, strict=True):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            points.append(Point(size, *process.submit(cost, work, model, repeats).result()))
    return points


def cost(work: int | list[Path], model: str, repeats: int) -> tuple[float, float]:
    """Seconds and megabytes that `work` takes in this process, which has done nothing before."""
    from ser_core import Recognizer

    recognizer = Recognizer.load(model, "cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, int(CLIP_S * SAMPLE_RATE)).astype(np.float32)
    recognizer.probabilities([noise[:SAMPLE_RATE]])  # loads what every first result needs
    clips = [noise.copy() for _ in range(work)] if isinstance(work, int) else []

    def action() -> None:
        if isinstance(work, int):
            recognizer.probabilities(clips)
        else:
            list(recognizer.analyze_files(work))

    megabytes = peak_mb_of(action)
    return median(seconds_of(action) for _ in range(repeats)), max(LEAST_MB, megabytes)


def live_users(live: dict[str, Any]) -> Growth:
    """The results of `benchmarks.live`: latency of final results, and memory of the server."""
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
    """The slope of the straight line through the logarithms.

    >>> round(slope([1, 10, 100], [3, 30, 300]), 6)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def table(panels: Sequence[Growth]) -> str:
    """The results as text."""
    lines = []
    for growth in panels:
        time, memory = growth.slopes()
        lines.append(f"{growth.of}: slope {time:.2f} in time, {memory:.2f} in memory")
        lines += [f"{p.size:>10g}{p.seconds:>10.3f} s{p.megabytes:>9.1f} MB" for p in growth.points]
    return "\n".join(lines)


def figure(panels: Sequence[Growth]) -> Figure:
    """One panel per growth: time solid, memory dashed, on logarithmic axes; grey dots show linear growth."""
    canvas = Figure(figsize=(10, 6.4), layout="constrained")
    for axes, growth in zip(canvas.subplots(2, 2).flat, panels, strict=True):
        sizes = [point.size for point in growth.points]
        axes.loglog(sizes, [point.seconds for point in growth.points], "o-", color=TIME)
        axes.set_ylabel(f"s, {growth.timed}", color=TIME)
        linear(axes, growth)
        memory_axes = axes.twinx()
        memory_axes.loglog(sizes, [point.megabytes for point in growth.points], "s--", color=MEMORY)
        memory_axes.set_ylabel("MB beyond the loaded model", color=MEMORY)
        memory_axes.set_ylim(MEMORY_MB)
        for panel_axes in (axes, memory_axes):
            panel_axes.yaxis.set_major_formatter("{x:g}")
            panel_axes.minorticks_off()
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.set_xlabel(growth.of)
        axes.set_title("slopes: time {:.2f}, memory {:.2f}".format(*growth.slopes()), fontsize=10)
    return canvas


def linear(axes: Axes, growth: Growth) -> None:
    """Draws the time that linear growth would give, from the last point backwards."""
    last = growth.points[-1]
    sizes = [point.size for point in growth.points]
    axes.loglog(sizes, [last.seconds * size / last.size for size in sizes], ":", color="#9aa3ad")


if __name__ == "__main__":
    typer.run(main)
