"""The app under many users: `python -m benchmarks.load` prints a table and writes results/load.json.

The server is `python app.py` in a process of its own. This process is the users, on the same machine: every
fourth uses gradio_client, the others plain HTTP; live sessions over the WebSocket run beside them. The first
run is the target: 16 users, each with a clip of 5 s every 10 s. In the others clips last 3 to 30 s.

ok            analyses whose result equals the library's for that clip, under the name that was sent
p50 p95 p99   from the first byte of the upload to the result (ms)
refused       requests refused because the server is busy, and the longest time to the refusal (ms)
wrong         results of another clip or another user, or with other numbers
lost          accepted and never answered; errors: all other failures
live          final results of the live sessions: expected, lost, and their latency (p95, ms)
MB            peak resident memory of the server and its workers
late          delay of this process's own live audio (95th percentile, ms)

At the end, many users that send without pause leave all at once: measured is the time until a visitor is
served within TARGET_S again.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import live, users
from benchmarks.processes import peak_mb, tree_mb
from benchmarks.running_app import running_app
from benchmarks.speed import RAVDESS, clip_paths, machine
from benchmarks.users import Sample, Tally
from ser_core.recognition.recognizer import Recognizer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "load.json"
EVERY_S = 10.0  # how often each user sends
TARGET_USERS, TARGET_CLIP_S, TARGET_S = 16, 5.0, 2.0
LENGTHS_S = (3.0, 30.0)  # of the other clips: shortest and longest
CLIPS = 24  # number of different clips of each kind
BURST_USERS, BURST_S = 64, 20.0  # users who leave at once, and for how long they send
RECOVERY_S = 60.0  # the longest wait for the first fast response after that
PROBE_S = 0.25  # between the requests of the visitor who waits for that


def main(
    seconds: Annotated[float, typer.Option(help="Length of the first run.")] = 300.0,
    counts: Annotated[str, typer.Option("--users", help="How many at once, one run each.")] = "1,4,16,32,64",
    other_seconds: Annotated[float, typer.Option(help="Length of these runs.")] = 300.0,
    sessions: Annotated[int, typer.Option(help="Live sessions beside them.")] = 2,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    measurements: dict[str, Any] = {"machine": machine(), "model": model, "every_s": EVERY_S}
    measurements["speech"] = "RAVDESS clips" if RAVDESS.is_dir() else "generated vowels"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recognizer = Recognizer.load(model, "cpu")
        short = users.samples(folder, recognizer, [TARGET_CLIP_S] * CLIPS)
        mixed = users.samples(folder, recognizer, np.linspace(*LENGTHS_S, CLIPS).tolist())
        sounds = list(zip(range(live.CLIPS), clip_paths(folder), strict=False))
        lengths = {seconds, other_seconds}
        talks = {length: talks_of([path for _, path in sounds], sessions, length) for length in lengths}
        del recognizer
        print(HEADING)
        measurements["load"] = []
        others = [(int(count), mixed, None, other_seconds) for count in counts.split(",") if count]
        for count, clips, clip_s, run_s in [(TARGET_USERS, short, TARGET_CLIP_S, seconds), *others]:
            with running_app(model, folder) as (address, process):
                row = asyncio.run(run(address, process.pid, count, clips, talks[run_s], run_s))
            measurements["load"].append(
                {"users": count, "seconds": run_s, "clip_s": clip_s or list(LENGTHS_S), **row}
            )
            print(line(measurements["load"][-1]), flush=True)
        with running_app(model, folder) as (address, _):
            measurements["crowd"] = asyncio.run(recovery(address, mixed, short))
        print(recovery_line(measurements["crowd"]))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(measurements, indent=2) + "\n", encoding="utf-8")


def talks_of(clips: Sequence[Path], sessions: int, seconds: float) -> list[live.Talk]:
    """The audio of each live session."""
    return [live.plan(live.speech(clips, seed, seconds)) for seed in range(sessions)]


async def run(
    address: str, pid: int, count: int, clips: Sequence[Sample], talks: Sequence[live.Talk], seconds: float
) -> dict[str, Any]:
    """The outcome of all requests of `count` users and of the live sessions."""
    before = tree_mb(pid)
    end = time.monotonic() + seconds
    async with peak_mb(pid) as memory:
        reports, *tallies = await asyncio.gather(
            live.speak_at_once(live.live_address(address), talks),
            *(users.regular(address, number, clips, EVERY_S, end) for number in range(count)),
        )
    return {
        **summary(users.merged(tallies)),
        "live": {
            "sessions": len(talks),
            "finals": sum(len(talk.final_frames) for talk in talks),
            "lost_finals": sum(report.lost_finals for report in reports),
            "lost_samples": sum(report.lost_samples for report in reports),
            "final_ms": percentiles([latency for report in reports for latency in report.final]),
            "late_ms": percentiles([late for report in reports for late in report.late]),
        },
        "server_mb_before": before,
        "server_mb_most": max(memory),
    }


async def recovery(address: str, clips: Sequence[Sample], short: Sequence[Sample]) -> dict[str, Any]:
    """Overload by many users that leave all at once, and the time until the server has recovered."""
    overload = await users.send_without_pause(address, BURST_USERS, clips, BURST_S)
    left_at, after = time.perf_counter(), Tally()
    async with users.HttpUser(address) as visitor:
        while time.perf_counter() - left_at < RECOVERY_S:
            await users.send(visitor, 0, short[0], after)
            if after.latencies_s and after.latencies_s[-1] <= TARGET_S:
                break
            await asyncio.sleep(PROBE_S)
    return {
        "users": BURST_USERS,
        "seconds": BURST_S,
        **summary(overload),
        "recovered_s": round(time.perf_counter() - left_at, 3),
        "recovered": bool(after.latencies_s) and after.latencies_s[-1] <= TARGET_S,
        "after": summary(after),
    }


def summary(tally: Tally) -> dict[str, Any]:
    """Counts, and latencies in ms."""
    return {
        "asked": tally.requests,
        "ok": len(tally.latencies_s),
        "latency_ms": percentiles(tally.latencies_s),
        "refused": len(tally.refusals_s),
        "refusal_ms_most": round(1000 * max(tally.refusals_s, default=0.0), 1),
        "refusal_ms": percentiles(tally.refusals_s),
        "wrong": tally.wrong,
        "lost": tally.lost,
        "errors": sorted(tally.errors),
    }


def percentiles(values_s: Sequence[float]) -> dict[str, float | None]:
    """The percentiles of `live`, in ms."""
    shares = np.percentile(values_s, live.PERCENTILES) if values_s else [None] * len(live.PERCENTILES)
    milliseconds = [None if share is None else round(1000 * float(share), 1) for share in shares]
    return dict(zip(map("p{}".format, live.PERCENTILES), milliseconds, strict=True))


HEADING = f"{'users':>5}{'clip s':>10}{'ok':>7}{'p50 / p95 / p99 ms':>22}{'refused':>9}{'at most ms':>12}" + (
    f"{'wrong':>7}{'lost':>6}{'errors':>8}{'live':>16}{'MB':>7}{'late ms':>9}"
)


def line(row: dict[str, Any]) -> str:
    """One run as a line under `HEADING`."""
    lengths = row["clip_s"] if isinstance(row["clip_s"], list) else [row["clip_s"]]
    live_row = row["live"]
    final, late = live_row["final_ms"]["p95"], live_row["late_ms"]["p95"]
    live_cell = f"{live_row['finals']}-{live_row['lost_finals']} {'-' if final is None else round(final)}"
    return f"{row['users']:>5}{'-'.join(f'{s:g}' for s in lengths):>10}" + (
        f"{counts_cells(row)}{live_cell:>16}{row['server_mb_most']:>7.0f}"
        f"{'-' if late is None else round(late):>9}"
    )


def counts_cells(row: dict[str, Any]) -> str:
    """The columns from `ok` to `errors`."""
    shares = " / ".join("-" if share is None else f"{share:.0f}" for share in row["latency_ms"].values())
    return f"{row['ok']:>7}{shares:>22}{row['refused']:>9}{row['refusal_ms_most']:>12.0f}" + (
        f"{len(row['wrong']):>7}{row['lost']:>6}{len(row['errors']):>8}"
    )


def recovery_line(row: dict[str, Any]) -> str:
    """The result of the overload as text."""
    end = f"served again {row['recovered_s']:.1f} s" if row["recovered"] else f"not served {RECOVERY_S:g} s"
    return f"{row['users']:>5}{'no pause':>10}{counts_cells(row)}\n{end} after {row['users']} users left"


if __name__ == "__main__":
    typer.run(main)
