"""An hour of speech open in the page, in a real Chromium: `python -m benchmarks.hour_page`.

The recording is RAVDESS clips with pauses. Each action on the timeline is done `TIMES` times, each time when
the page is idle. Results are printed and written to benchmarks/results/hour_page.json:

NAME_ms       from the event to the end of the frame that shows its effect: median and longest
heap_mb       of the page's JavaScript
memory_mb     private memory of the page's process (RssAnon)
opened_s      from dropping the file to the drawn timeline; nearly all of it is the analysis
"""

import json
import re
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import soundfile
import typer
from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.live_page import CHROMIUM, ROOT, join, ravdess_clips
from benchmarks.running_app import running_app
from ser_core.audio.waveform import SAMPLE_RATE

RESULTS = ROOT / "benchmarks" / "results" / "hour_page.json"
TIMES = 20
WINDOW = {"width": 1280, "height": 900}
OPENED_MS = 1_800_000
# The actions, as events on the lanes or the table's `rows`; `i` is the repetition.
ACTIONS = {
    "zoom_in": "key('+')",
    "pan": "key('ArrowRight', { shiftKey: true })",
    "zoom_out": "key('-')",
    "whole": "key('0')",
    "hover": "mouse('pointermove', i / 20)",
    "wheel_zoom": "wheel({ ctrlKey: true, deltaY: i % 2 ? 240 : -240 })",
    "next_segment": "key('ArrowRight')",
    "choose_row": "rows[(37 * i) % rows.length].click()",
    "correct_label": "key(String(1 + i % 6))",
    "split": "key('.'), key('.'), key('s')",
    "merge": "key('m')",
    "undo": "key('z', { ctrlKey: true })",
}
MEASURE = """async ([action, times]) => {
    const root = document.querySelector('#timeline');
    const lanes = root.querySelector('.lanes');
    const rows = root.querySelectorAll('#segments input');
    const box = lanes.getBoundingClientRect();
    const key = (name, more) => lanes.dispatchEvent(new KeyboardEvent("keydown", { key: name, ...more }));
    const at = (share) => ({ clientX: box.left + share * box.width, clientY: box.top + 60, bubbles: true });
    const mouse = (name, share) => lanes.dispatchEvent(new PointerEvent(name, at(share)));
    const wheel = (more) => lanes.dispatchEvent(new WheelEvent('wheel', { ...at(0.4), ...more }));
    const act = new Function('rows', 'key', 'mouse', 'wheel', 'i', action);
    const audio = root.querySelector('audio');
    const shown = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times_ms = [];
    for (let i = 0; i < times; i++) {
        do await new Promise((done) => requestIdleCallback(done)); while (audio.seeking);
        const start = performance.now();
        act(rows, key, mouse, wheel, i);
        await shown();
        times_ms.push(performance.now() - start);
    }
    return times_ms;
}"""


def main(
    minutes: Annotated[float, typer.Option(help="Length of the recording.")] = 59.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples, _ = join(ravdess_clips(), 60 * minutes)
        soundfile.write(folder / "hour.flac", samples, SAMPLE_RATE)
        with running_app(model, folder) as (address, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--headless=new", "--disable-gpu"]
            )
            page = browser.new_page(viewport=WINDOW)
            page.goto(address)
            report = {"minutes": minutes, "model": model, **measure(page, folder / "hour.flac")}
            report |= memory(browser.new_browser_cdp_session(), page)
            browser.close()
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(f"{name:18} {value}" for name, value in report.items()))


def measure(page: Page, recording: Path) -> dict[str, Any]:
    """Times of opening `recording` and of all actions on it."""
    page.locator("#answer h2").wait_for()
    started = time.monotonic()
    page.locator("#drop input[type=file]").set_input_files(recording)
    page.locator("#segments tbody tr").nth(1).wait_for(timeout=OPENED_MS)
    page.locator("#answer .facts").wait_for()
    report: dict[str, Any] = {"opened_s": round(time.monotonic() - started, 1)}
    report["segments"] = page.locator("#segments tbody tr").count() - 1
    for name, action in ACTIONS.items():
        times_ms = page.evaluate(MEASURE, [action, TIMES])
        report[f"{name}_ms"] = {"median": round(median(times_ms), 1), "longest": round(max(times_ms), 1)}
    return report


def memory(browser: CDPSession, page: Page) -> dict[str, float]:
    """Memory of the page in MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    processes = browser.send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [process["id"] for process in processes if process["type"] == "renderer"]
    return {
        "heap_mb": round(metrics["JSHeapUsedSize"] / 1e6, 1),
        "memory_mb": round(max(map(private_mb, renderers)), 1),
    }


def private_mb(process: int) -> float:
    """Private memory of a process in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1e6


if __name__ == "__main__":
    typer.run(main)
