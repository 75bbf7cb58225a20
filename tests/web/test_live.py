"""Live on the visitor's own device: what comes faster than it is heard, and a hidden tab."""

import base64

import numpy as np
import pytest
from static_page import LOADING_MS, READY
from support import syllables

from ser_core.audio import vad
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from web.serving import serving

SUMMARY = "#live [data-part=summary]:not([hidden])"
# Notes what the worker says, and makes it believe that sound waited for `waited` ms more than it did.
WATCH = """
Object.assign(window, { heard: [], waited: 0 });
window.Worker = class extends Worker {
    constructor(...options) {
        super(...options);
        this.addEventListener("message", ({ data }) => data.type === "live" && heard.push(data));
    }
    postMessage(message, transfer) {
        if (message.type === "frames") message.sent -= waited;
        super.postMessage(message, transfer);
    }
};
"""
SPEAK = """async ({ address, sound, rate, late }) => {
    const { liveTab } = await import(address);
    const samples = new Float32Array(Uint8Array.from(atob(sound), (c) => c.charCodeAt(0)).buffer);
    const { begin, onFrame, session } = liveTab();
    Object.assign(window, { heard: [], waited: late });
    begin(rate);
    for (let at = 0; at < samples.length; at += rate / 10) onFrame(samples.slice(at, at + rate / 10));
    session().connection.stop();
    while (!heard.some(({ event }) => event === "done")) await new Promise((next) => setTimeout(next, 50));
    return heard;
}"""
# As browsers treat hidden pages: nothing is drawn, and timers run once a second.
HIDE = """
const slow = window.setTimeout;
window.away = true;
Object.defineProperty(document, "hidden", { get: () => window.away });
window.requestAnimationFrame = () => 0;
window.setTimeout = (call, ms) => slow(call, Math.max(ms, 1000));
document.dispatchEvent(new Event("visibilitychange"));
"""
SHOW = "window.away = false; document.dispatchEvent(new Event('visibilitychange'));"
LISTEN = """async (address) => {
    const { liveTab } = await import(address);
    const { sound } = liveTab().session();
    const enough = sound.seconds + 2;
    while (sound.seconds < enough) await new Promise((next) => setTimeout(next));
}"""


@pytest.fixture(scope="module")
def page(browser, dist):
    """The page with its model and the tab Live open."""
    with serving(dist) as address:
        context = browser.new_context(permissions=["microphone"])
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(address)
        page.wait_for_selector(READY, timeout=LOADING_MS)
        page.click("#live-tab-button")
        yield page
        context.close()


def test_a_hidden_tab_goes_on_listening_and_loses_nothing(page):
    page.click("#live [data-part=main]")
    page.wait_for_selector("#live[data-state=listening]")
    page.evaluate(HIDE)
    page.evaluate(LISTEN, f"{page.url}page/page.js")
    page.evaluate(SHOW)
    page.click("#live [data-part=stop]")
    page.wait_for_selector(SUMMARY)
    facts = page.inner_text("#live [data-part=summary] .facts").split()
    assert facts[0] == facts[3]  # samples captured and heard


@pytest.mark.parametrize("late", [1e9, -1e9], ids=["late", "in time"])
def test_sound_that_waited_for_the_worker_gets_final_results_alone(page, late):
    sound = np.round(0.5 * syllables(12) * 32768).astype(np.int16) / np.float32(32768)
    spans = vad.segment(Waveform(sound))
    options = {"sound": base64.b64encode(sound.tobytes()).decode(), "rate": SAMPLE_RATE, "late": late}
    heard = page.evaluate(SPEAK, {"address": f"{page.url}page/page.js", **options})
    segments = [event for event in heard if event["event"] == "segment"]
    finals = [segment for segment in segments if segment["final"]]
    assert heard[-1]["samples_received"] == len(sound)
    assert len(finals) == len(spans) > 0
    for one, span in zip(finals, spans, strict=True):
        assert (one["start"], one["end"]) == pytest.approx((span.start_s, span.end_s), abs=1e-3)
    assert (len(segments) == len(finals)) == (late > 0)
