"""The static page beside Python: `make web`, then `python -m benchmarks.web`.

It writes benchmarks/results/web.json. The page is `web/dist/` behind a plain file server, in Debian's
Chromium without a GPU. Measured are:

network  requests in Chromium's own log of the network after the page was loaded, while files are analysed
         and its microphone plays speech; whether it works with the network off and the server gone
parity   its segments against Python's (torch, the same weights) on clips of all corpora as they are stored
         (most in Opus, which libsndfile decodes at 16 kHz and browsers at 48), on the same samples as WAV, on
         some as other kinds of file, and on three long files made of clips. `same_span`: share of the
         segments of either that agree to 10 ms; the others are shares of these
start    seconds from the address to `ready`, megabytes from the server; cold: nothing kept, warm: the second
         visit. The server is on the same machine: there is no time for a network in it
file     times real time for a long file on all cores; Python in turn
live     delay of a final result from the frame with which its closing pause is complete, as
         `benchmarks.live` counts it for the server, which gets the same speech in the same run
hour     memory of a live session of an hour, fed faster than real time
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import soundfile
import typer
from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks import live
from benchmarks.running_app import running_app
from benchmarks.speed import machine
from benchmarks.web_page import analysed, chromium, empty_mb, fed, opened, requests, spoken
from benchmarks.web_parity import KINDS, Parity, as_kinds, clips, long_sound, plain_wav, written
from ser_core import Recognizer
from ser_core.checkpoint import bundle
from web.build import DIST
from web.serving import serving

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "web.json"
LOADED, HEARD = "?loaded", "?heard"  # in requests that the benchmark makes itself, as marks in the log
ASK = "mark => fetch(`README.md${mark}`).then((answer) => answer.text())"
SHORT_S = 15.0  # of speech for the log
LONG_KINDS = ("flac 48 kHz stereo", "wav 44.1 kHz", "webm")
SEEDS = (1, 2, 3)  # of the long files
STARTS = 3
TAIL_S = 2.0  # the page listens for so much longer than the microphone speaks
HOUR_SPEED = 20.0  # times real time
SMALL_CLIPS = 5  # that are analysed with the network off, and for its log

PARTS = ("start", "network", "parity", "long", "live", "hour")

Results = dict[str, Any]


def main(
    parts: Annotated[str, typer.Option(help="What is measured.")] = ",".join(PARTS),
    models: Annotated[str, typer.Option(help="Checkpoints in web/dist/.")] = "small,default",
    count: Annotated[int, typer.Option(help="Clips for the parity.")] = 200,
    each: Annotated[int, typer.Option(help="Clips as each other kind of file.")] = 24,
    minutes: Annotated[float, typer.Option(help="Length of the long files.")] = 10.0,
    speech_s: Annotated[float, typer.Option(help="Seconds of speech for the microphone.")] = 120.0,
    hour_minutes: Annotated[float, typer.Option(help="Length of the hour.")] = 60.0,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    if not (DIST / "index.html").is_file():
        raise SystemExit("web/dist/ is missing: run `make web`")
    settings = (DIST / "settings.js").read_text(encoding="utf-8")
    if stale := [model for model in models.split(",") if bundle.read(model).sha256 not in settings]:
        raise SystemExit(f"web/dist/ has other weights of {', '.join(stale)}: run `make web`")
    report: Results = {"models": {}}
    if results.is_file():  # a run of some parts leaves the figures of others
        report = json.loads(results.read_text(encoding="utf-8"))
    results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        drawn = clips(count)
        with chromium(playwright) as browser:
            report |= {"machine": machine(), "browser": f"Chromium {browser.version}"}
        measure: dict[str, Callable[[str], Results]] = {
            "start": lambda model: starts(playwright, model),
            "network": lambda model: network(playwright, model, drawn[:SMALL_CLIPS], folder),
            "parity": lambda model: parity(playwright, model, drawn, each, folder),
            "long": lambda model: long_files(playwright, model, drawn, minutes, folder),
            "live": lambda model: conversation(playwright, model, speech_s, drawn, folder),
            "hour": lambda model: hour(playwright, model, hour_minutes, drawn),
        }
        for model in models.split(","):
            for part in parts.split(","):
                load = os.getloadavg()[0]  # of other programs: times are only worth something where it is low
                figures = {"load_before": round(load, 1)} | measure[part](model)
                report["models"].setdefault(model, {})[part] = figures
                print(json.dumps({model: {part: figures}}, indent=2), flush=True)
                results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def starts(playwright: Playwright, model: str) -> Results:
    """Seconds and megabytes of a first and a second visit, medians; and of the server's start."""
    cold, warm, first, second = [], [], [], []
    for _ in range(STARTS):
        log: list[tuple[str, int]] = []
        with serving(DIST, log) as address, chromium(playwright) as browser:
            context = browser.new_context()
            page, seconds = opened(context, address, model)
            page.close()
            cold.append(seconds)
            first.append(sum(size for _, size in log) / 1e6)
            log.clear()
            page, seconds = opened(context, address, model)
            warm.append(seconds)
            second.append(sum(size for _, size in log) / 1e6)
            threads = page.evaluate("document.body.dataset.threads")
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        with running_app(model, Path(name)):
            server = time.perf_counter() - began
    return {
        "cold_s": round(median(cold), 2),
        "warm_s": round(median(warm), 2),
        "cold_mb": round(median(first), 2),
        "warm_mb": round(median(second), 2),
        "threads": int(threads),
        "server_s": round(server, 2),  # until `python app.py` is warmed up
    }


def network(playwright: Playwright, model: str, paths: Sequence[Path], folder: Path) -> Results:
    """Requests after loading; and whether the page works with the network off and the server gone."""
    microphone, netlog = folder / "short.wav", folder / "netlog.json"
    soundfile.write(microphone, live.speech(paths, 0, SHORT_S), live.CLIENT_RATE, subtype="PCM_16")
    with chromium(playwright, microphone, netlog) as browser:
        context = browser.new_context(permissions=["microphone"])
        with serving(DIST) as address:
            page, _ = opened(context, address, model)
            page.evaluate(ASK, LOADED)
            online = [analysed(page, path)[0] for path in paths]
            session = spoken(page, SHORT_S)
            page.evaluate(ASK, HEARD)
            context.set_offline(True)
            page.close()
        page, _ = opened(context, address, model)
        offline = [analysed(page, path)[0] for path in paths]
    log = requests(netlog)
    first, last = (next(i for i, one in enumerate(log) if mark in one) for mark in (LOADED, HEARD))
    between = [one for one in log[first + 1 : last] if HEARD not in one]
    return {
        "files": len(online),
        "live_s": round(len(session.sound) / session.rate, 1),
        "live_finals": len(session.finals),
        "requests": sum(one.startswith(address) for one in between),
        # The page's Content-Security-Policy allows it no other place than its own.
        "requests_of_chromium_itself": sorted(
            {urlsplit(one).netloc for one in between} - {urlsplit(address).netloc}
        ),
        "asked_for_when_offline": sorted({one for one in log[last + 1 :] if one.startswith(address)}),
        "offline_same_results": online == offline and None not in online,
    }


def parity(playwright: Playwright, model: str, drawn: Sequence[Path], each: int, folder: Path) -> Results:
    """Parity of short files, by their kind."""
    recognizer = Recognizer.load(model, device="cpu")
    stored, same, kinds = Parity(), Parity(), {kind: Parity() for kind in KINDS}
    with serving(DIST) as address, chromium(playwright) as browser:
        page, _ = opened(browser.new_context(), address, model)
        for path in drawn:
            stored.add(analysed(page, path)[0], recognizer.analyze_file(path))
            plain = plain_wav(path, folder)
            same.add(analysed(page, plain)[0], recognizer.analyze_file(plain))
        for kind, path in as_kinds(drawn, folder, each):
            kinds[kind].add(analysed(page, path)[0], recognizer.analyze_file(path))
    by_kind = {"as stored": stored, "wav 16 kHz": same, **kinds}
    return {kind: one.figures() for kind, one in by_kind.items()}


def long_files(
    playwright: Playwright, model: str, drawn: Sequence[Path], minutes: float, folder: Path
) -> Results:
    """Parity and speed of long files, the page and Python in turn."""
    recognizer = Recognizer.load(model, device="cpu")
    long = Parity()
    speeds: dict[str, list[float]] = {"page": [], "python": []}
    with serving(DIST) as address, chromium(playwright) as browser:
        page, _ = opened(browser.new_context(), address, model)
        for seed, kind in zip(SEEDS, LONG_KINDS, strict=True):
            path = written(long_sound(drawn, minutes, seed), folder, f"long-{seed}", kind)
            result, took = analysed(page, path)
            began = time.perf_counter()
            long.add(result, recognizer.analyze_file(path))
            speeds["python"].append(round(60 * minutes / (time.perf_counter() - began), 1))
            speeds["page"].append(round(60 * minutes / took, 1))
    return {"minutes": minutes, "parity": long.figures(), "times_real_time": speeds}


def conversation(
    playwright: Playwright, model: str, seconds: float, drawn: Sequence[Path], folder: Path
) -> Results:
    """Delays of final results from the microphone, and those of the server for the same speech."""
    sound, microphone = live.speech(drawn, 0, seconds), folder / "microphone.wav"
    soundfile.write(microphone, sound, live.CLIENT_RATE, subtype="PCM_16")
    with serving(DIST) as address, chromium(playwright, microphone) as browser:
        page, _ = opened(browser.new_context(permissions=["microphone"]), address, model)
        session = spoken(page, seconds + TAIL_S)
    talk = live.plan(session.sound, session.rate)
    delays = [
        1000 * (at - session.posts_s[talk.final_frames[talk.ends[end]]])
        for at, end in session.finals
        if end in talk.ends and talk.final_frames[talk.ends[end]] < len(session.posts_s)
    ]
    with running_app(model, folder) as (address, _):
        places = live.live_address(address)
        with ThreadPoolExecutor(1) as thread:  # Playwright has a loop of its own on this one
            speaking = live.speak_at_once(places, [live.plan(sound)], "one")
            reports = thread.submit(asyncio.run, speaking).result()
    server = live.summary(reports)
    return {
        "rate": session.rate,
        "finals": len(session.finals),
        "expected_finals": len(talk.final_frames),
        "compared": len(delays),
        "lost_samples": len(session.sound) - session.samples_received,
        "final_ms": dict(
            zip(
                ("p50", "p95", "most"), map(float, np.percentile(delays, (50, 95, 100)).round(1)), strict=True
            )
        ),
        "server_final_ms": server["final_ms"],
        "server_finals": server["final_count"],
    }


def hour(playwright: Playwright, model: str, minutes: float, drawn: Sequence[Path]) -> Results:
    """Memory of a long live session, and what of it is not that of an empty page."""
    sound = live.speech(drawn, 0, live.LOOP_S)
    with serving(DIST) as address, chromium(playwright) as browser:
        empty = empty_mb(browser, address)
        page: Page = opened(browser.new_context(), address, model)[0]
        figures = fed(page, sound, live.CLIENT_RATE, round(60 * minutes), HOUR_SPEED)
        above = round(figures["process_most_mb"] - empty, 1)
        return figures | {"empty_page_mb": empty, "most_above_empty_mb": above}


if __name__ == "__main__":
    typer.run(main)
