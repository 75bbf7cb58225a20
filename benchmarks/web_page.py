"""The static page in a real Chromium, for `benchmarks.web`: opened, given files, spoken to, and watched."""

import base64
import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from benchmarks.live_page import CHROMIUM, microphone_arguments
from benchmarks.processes import tree

READY = "body[data-state=ready]"
LOADING_MS = 120_000
STALLED_S = 60.0  # without progress, after which a session that is fed is given up
SETTLED_MS = 1000  # an empty page has its memory by then
FILE_MS = 900_000  # the longest wait for a file
POLLING_MS = 200
ANSWER = "#answer[data-state=done], #answer[data-state=problem]"
# Notes what goes to the worker and what comes of it, in the page's own thread.
WATCH = """
const watched = (window.watched = { posts: [], events: [] });
window.Worker = class extends Worker {
    constructor(...options) {
        super(...options);
        this.addEventListener("message", ({ data }) => {
            if (data.type !== "live") return;
            const { event, final, end, time, samples_received } = data;
            if (event === "level") watched.level = time;
            else watched.events.push({ at: performance.now(), event, final, end, samples_received });
        });
    }
    postMessage(message, transfer) {
        if (message.type === "frames") watched.posts.push(performance.now());
        super.postMessage(message, transfer);
    }
};
"""
# Feeds `sound` (base64 of int16) in a loop, a second in `pause` ms, as the microphone would.
FEED = """
async ({ address, sound, rate, seconds, pause }) => {
    const { liveTab } = await import(address);
    const bytes = Uint8Array.from(atob(sound), (c) => c.charCodeAt(0));
    const samples = Float32Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
    const { begin, onFrame, session } = liveTab();
    begin(rate);
    const frame = Math.round(rate / 10);
    const began = performance.now();
    for (let second = 0; second < seconds; second++) {
        for (let i = 0; i < 10; i++) {
            const at = ((10 * second + i) * frame) % (samples.length - frame);
            onFrame(samples.slice(at, at + frame));
        }
        const wait = began + (second + 1) * pause - performance.now();
        await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 0)));
    }
    session().connection.stop();
}
"""
# Takes a minute: the threads of ONNX Runtime never answer Chromium, which waits so long for them.
MEASURE = "performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes / 1e6)"


@dataclass(frozen=True)
class Spoken:
    """A live session from the microphone."""

    sound: NDArray[np.int16]  # that the page kept
    rate: int  # Hz
    posts_s: list[float]  # when each frame of 0.1 s went to the worker
    finals: list[tuple[float, float]]  # when a final segment arrived, and its end in the recording, s
    samples_received: int


@contextmanager
def chromium(
    playwright: Playwright, microphone: Path | None = None, log: Path | None = None
) -> Iterator[Browser]:
    """A new Chromium, whose microphone plays a WAV file once; `log` gets its own log of the network."""
    arguments = microphone_arguments(microphone) if microphone else microphone_arguments("none")[:3]
    arguments += ["--disable-background-networking", "--enable-blink-features=ForceEagerMeasureMemory"]
    arguments += [f"--log-net-log={log}"] if log else []
    browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    try:
        yield browser
    finally:
        browser.close()


def opened(context: BrowserContext, address: str, model: str) -> tuple[Page, float]:
    """The page with the model open, and the seconds from its address to that."""
    page = context.new_page()
    page.add_init_script(WATCH)
    began = time.perf_counter()
    page.goto(f"{address}?model={model}")
    page.wait_for_selector(f"{READY}, body[data-state=failed]", timeout=LOADING_MS)
    took = time.perf_counter() - began
    if page.evaluate("document.body.dataset.state") != "ready":
        raise RuntimeError(page.inner_text("[data-page=status]"))
    return page, took


def module(page: Page) -> str:
    """The address of the page's own module."""
    return page.url.split("?")[0] + "page/page.js"


def analysed(page: Page, file: Path) -> tuple[dict[str, Any] | None, float]:
    """The analysis of a file (None: it was refused), and the seconds that it took in the page."""
    page.evaluate("document.querySelector('#answer').dataset.state = 'asked'")
    page.set_input_files("#drop input", file)
    page.wait_for_selector(ANSWER, timeout=FILE_MS)
    if page.evaluate("document.querySelector('#answer').dataset.state") == "problem":
        return None, 0.0
    analysis = page.evaluate(f"import('{module(page)}').then((page) => page.analysis())")
    return analysis, int(page.evaluate("document.querySelector('#answer').dataset.tookMs")) / 1000


def spoken(page: Page, seconds: float) -> Spoken:
    """A live session of `seconds` from the microphone."""
    page.click("#live-tab-button")
    page.click("#live [data-part=main]")
    heard = f"import('{module(page)}').then((page) => page.liveTab().session()?.sound.seconds ?? 0)"
    while page.evaluate(heard) < seconds:
        page.wait_for_timeout(POLLING_MS)
    page.click("#live [data-part=stop]")
    page.wait_for_selector("#live [data-part=summary]:not([hidden])", timeout=LOADING_MS)
    text = page.evaluate(
        f"""import('{module(page)}').then(async (page) => {{
            const bytes = new Uint8Array(await page.liveTab().session().sound.wav().arrayBuffer());
            let text = "";
            const [step, letters] = [32768, String.fromCharCode];
            for (let i = 0; i < bytes.length; i += step) text += letters(...bytes.subarray(i, i + step));
            return btoa(text);
        }})"""
    )
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="int16")
    watched = page.evaluate("watched")
    finals = [event for event in watched["events"] if event["event"] == "segment" and event["final"]]
    (done,) = [event for event in watched["events"] if event["event"] == "done"]
    return Spoken(
        sound,
        rate,
        [at / 1000 for at in watched["posts"]],
        [(event["at"] / 1000, event["end"]) for event in finals],
        done["samples_received"],
    )


def fed(
    page: Page, sound: NDArray[np.int16], rate: int, seconds: int, times_real_time: float
) -> dict[str, Any]:
    """Feeds a live session faster than real time; memory of the page's process before, in and after it."""
    page.click("#live-tab-button")
    before = renderer_mb()
    options = {
        "address": module(page),
        "sound": base64.b64encode(sound.astype("<i2").tobytes()).decode(),
        "rate": rate,
        "seconds": seconds,
        "pause": 1000 / times_real_time,
    }
    page.evaluate(f"options => {{ window.feeding = ({FEED})(options); }}", options)
    began, resident = time.perf_counter(), [before]
    done = "watched.events.some(({ event }) => event === 'done' || event === 'failed')"
    reached, moved = 0.0, began
    while not page.evaluate(done):
        resident.append(renderer_mb())
        page.wait_for_timeout(1000)
        level = page.evaluate("watched.level ?? 0")
        if level > reached:
            reached, moved = level, time.perf_counter()
        if time.perf_counter() - moved > STALLED_S:
            raise RuntimeError(f"the session stalled at {reached} s")
    took = time.perf_counter() - began
    events = page.evaluate("watched.events")
    after = renderer_mb()
    return {
        "minutes": seconds / 60,
        "times_real_time": round(seconds / took, 1),
        "segments": sum(event["event"] == "segment" and event["final"] for event in events),
        "lost_samples": seconds * 10 * round(rate / 10) - events[-1]["samples_received"],
        "process_before_mb": round(before, 1),
        "process_most_mb": round(max(resident), 1),
        "process_after_mb": round(after, 1),
        "page_after_mb": round(page.evaluate(MEASURE), 1),  # without garbage, as Chromium counts it
    }


def empty_mb(browser: Browser, address: str) -> float:
    """Memory of the process of a page without scripts, in MB."""
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    page.goto(f"{address}LICENCES.txt")
    page.wait_for_timeout(SETTLED_MS)
    size = renderer_mb()
    context.close()
    return round(size, 1)


def renderer_mb() -> float:
    """Proportional resident memory of the largest renderer process of this program's browsers (Linux)."""
    sizes = [0.0]
    for pid in tree(os.getpid()):
        try:
            if b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes():
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                sizes.append(int(rollup.split("\nPss:")[1].split()[0]) / 1000)
        except (OSError, IndexError):  # it has just ended
            continue
    return max(sizes)


def requests(log: Path) -> list[str]:
    """Addresses of all requests in the log of the network of a Chromium that has ended, in order."""
    content = json.loads(log.read_text(encoding="utf-8"))
    kind = content["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    started = [event["params"] for event in content["events"] if event["type"] == kind and "params" in event]
    addresses = [parameters["url"] for parameters in started if "url" in parameters]
    return [address for address in addresses if address.startswith(("http", "ws"))]
