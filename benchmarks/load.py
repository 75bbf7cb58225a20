"""Crowds before the running app: `python -m benchmarks.load` prints a table, writes results/load.json.

The server is `python app.py`, a process of its own; this process is the users, on the same machine: every
fourth with gradio_client, the others with plain HTTP, and live sessions over the WebSocket beside them. The
first run is the target: 16 users, each with a clip of 5 s every 10 s. In the others clips last 3 to 30 s.

ok            analyses whose result is what the library gives for that clip, under the name that was sent
p50 p95 p99   from the first byte of the upload to the result (ms)
refused       told that the server is busy, and how long that took at most (ms, from request to answer)
wrong         results of another clip or another user, or with other numbers
lost          taken in and never answered; errors: all other ends
live          final results of the live sessions: due, lost, and how long they took (p95, ms)
MB            resident memory of the server and its workers at most
late          how late this process itself was with the sound of the live sessions (95th percentile, ms)

At last a crowd that sends whenever it may leaves from one moment to the next: how long until a visitor is
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
CLIPS = 24  # of each kind that users draw from
CROWD, CROWD_S = 64, 20.0  # users who leave, and for how long they were there
RECOVERY_S = 60.0  # the longest wait for the first good answer after that
PROBE_S = 0.25  # between the questions of the one who waits for that


def main(
    seconds: Annotated[float, typer.Option(help="Length of the first run.")] = 300.0,
    counts: Annotated[str, typer.Option("--users", help="How many at once, one run each.")] = "1,4,16,32,64",
    other_seconds: Annotated[float, typer.Option(help="Length of these runs.")] = 300.0,
    sessions: Annotated[int, typer.Option(help="Live sessions beside them.")] = 2,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    found: dict[str, Any] = {"machine": machine(), "model": model, "every_s": EVERY_S}
    found["speech"] = "RAVDESS clips" if RAVDESS.is_dir() else "generated vowels"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recognizer = Recognizer.load(model, "cpu")
        short = users.samples(folder, recognizer, [TARGET_CLIP_S] * CLIPS)
        mixed = users.samples(folder, recognizer, np.linspace(*LENGTHS_S, CLIPS).tolist())
        sounds = list(zip(range(live.CLIPS), clip_paths(folder), strict=False))
        lengths = {seconds, other_seconds}
        talks = {length: spoken([path for _, path in sounds], sessions, length) for length in lengths}
        del recognizer
        print(HEADING)
        found["load"] = []
        others = [(int(count), mixed, None, other_seconds) for count in counts.split(",") if count]
        for count, clips, clip_s, run_s in [(TARGET_USERS, short, TARGET_CLIP_S, seconds), *others]:
            with running_app(model, folder) as (address, process):
                row = asyncio.run(run(address, process.pid, count, clips, talks[run_s], run_s))
            found["load"].append(
                {"users": count, "seconds": run_s, "clip_s": clip_s or list(LENGTHS_S), **row}
            )
            print(line(found["load"][-1]), flush=True)
        with running_app(model, folder) as (address, _):
            found["crowd"] = asyncio.run(leaves(address, mixed, short))
        print(crowd_line(found["crowd"]))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def spoken(clips: Sequence[Path], sessions: int, seconds: float) -> list[live.Talk]:
    """What is said in each of the live sessions."""
    return [live.plan(live.speech(clips, seed, seconds)) for seed in range(sessions)]


async def run(
    address: str, pid: int, count: int, clips: Sequence[Sample], talks: Sequence[live.Talk], seconds: float
) -> dict[str, Any]:
    """What became of everything that `count` users and the live sessions asked for."""
    before = tree_mb(pid)
    end = time.monotonic() + seconds
    async with peak_mb(pid) as memory:
        reports, *tallies = await asyncio.gather(
            live.speak_at_once(live.live_address(address), talks),
            *(users.regular(address, number, clips, EVERY_S, end) for number in range(count)),
        )
    return {
        **summary(users.together(tallies)),
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


async def leaves(address: str, clips: Sequence[Sample], short: Sequence[Sample]) -> dict[str, Any]:
    """A crowd beyond capacity that is gone from one moment to the next, and how long that is felt."""
    there = await users.crowd(address, CROWD, clips, CROWD_S)
    left, after = time.perf_counter(), Tally()
    async with users.HttpUser(address) as visitor:
        while time.perf_counter() - left < RECOVERY_S:
            await users.send(visitor, 0, short[0], after)
            if after.latencies_s and after.latencies_s[-1] <= TARGET_S:
                break
            await asyncio.sleep(PROBE_S)
    return {
        "users": CROWD,
        "seconds": CROWD_S,
        **summary(there),
        "recovered_s": round(time.perf_counter() - left, 3),
        "recovered": bool(after.latencies_s) and after.latencies_s[-1] <= TARGET_S,
        "after": summary(after),
    }


def summary(tally: Tally) -> dict[str, Any]:
    """Counts, and latencies in ms."""
    return {
        "asked": tally.asked,
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
    heard = row["live"]
    final, late = heard["final_ms"]["p95"], heard["late_ms"]["p95"]
    live_cell = f"{heard['finals']}-{heard['lost_finals']} {'-' if final is None else round(final)}"
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


def crowd_line(row: dict[str, Any]) -> str:
    """What the crowd got, and when it was forgotten."""
    end = f"served again {row['recovered_s']:.1f} s" if row["recovered"] else f"not served {RECOVERY_S:g} s"
    return f"{row['users']:>5}{'no pause':>10}{counts_cells(row)}\n{end} after {row['users']} users left"


if __name__ == "__main__":
    typer.run(main)
