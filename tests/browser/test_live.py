"""The tab "Live" in a real Chromium whose microphone plays a recording."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import numpy as np
import pytest
import soundfile
from librosa.filters import mel
from playwright.sync_api import Page, expect
from support import syllables
from websockets.sync.client import connect

from benchmarks import live_page
from ser_core import Recognizer
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.export.json import to_dict
from ser_core.recognition.live_engine import MAX_SESSIONS
from ser_core.recognition.recording import VoiceOptions
from ser_ui.tabs.live import SOURCES

LABEL = re.compile(r"^(Neutral|Calm|Happy|Sad|Angry|Fearful|Disgust|Surprised|Not sure, .+)$")
RECORDING_S = 12.0  # duration of the recording that is compared with the file; benchmarks/ has five minutes
SETTLES_MS = 30_000


@pytest.fixture
def live(page) -> Page:
    """The page with the tab open and its script running."""
    return open_tab(page)


def open_tab(page: Page) -> Page:
    page.get_by_role("tab", name="Live").click()
    expect(page.locator("#live [data-state=idle], #live[data-state=idle]")).to_be_visible()
    return page


def press(page: Page, name: str) -> None:
    page.locator("#live").get_by_role("button", name=name, exact=True).click()


def notice(page: Page):
    return page.locator("#live .notice")


def rows(page: Page):
    return page.locator("#live tbody tr")


def seconds(page: Page) -> int:
    minutes, rest = page.locator("#live output").inner_text().split(":")
    return 60 * int(minutes) + int(rest)


def record(page: Page, selector: str) -> None:
    """Records in `said` every text that an element of the tab shows, however shortly."""
    page.evaluate(
        """selector => {
            const box = document.querySelector(`#live ${selector}`);
            window.said = [];
            new MutationObserver(() => said.push(box.textContent)).observe(box, {childList: true});
        }""",
        selector,
    )


def clips(request) -> Iterator[np.ndarray]:
    """RAVDESS clips, or generated vowels."""
    try:
        request.getfixturevalue("shared_data")
        return live_page.ravdess_clips()
    except pytest.skip.Exception:
        return (syllables(1, seed) for seed in count())


def test_a_session_finds_what_its_sound_as_a_file_gives(playwright, server, model, tmp_path, request):
    samples, spans = live_page.join(clips(request), RECORDING_S)
    microphone = tmp_path / "microphone.wav"
    soundfile.write(microphone, samples, SAMPLE_RATE, subtype="PCM_16")
    browser = playwright.chromium.launch(
        executable_path=str(live_page.CHROMIUM), args=live_page.microphone_arguments(microphone)
    )
    page = browser.new_context(permissions=["microphone"]).new_page()
    page.goto(server)
    result = live_page.listen(page, len(samples) / SAMPLE_RATE + live_page.TAIL_S, tmp_path)

    score = live_page.score(spans, result)
    assert result.received == result.sent == soundfile.info(result.wav).frames
    assert score["found"] >= 0.75
    assert score["invented"] == 0
    by_file = to_dict(Recognizer.load(model).analyze_file(result.wav, options=VoiceOptions()))
    assert live_page.differences(result.analysis["segments"], by_file["segments"]) == 0
    assert result.analysis["source"] == result.wav.name
    assert rows(page).count() == len(by_file["segments"])

    press(page, "Open in Recording")
    expect(page.locator("#answer")).to_contain_text(result.wav.name, timeout=60_000)
    expect(page.locator("#segments tbody tr")).to_have_count(1 + len(by_file["segments"]))
    page.get_by_role("tab", name="Live").click()
    expect(rows(page).first).to_be_visible()  # the session is still there
    browser.close()


def test_the_emotion_shows_while_spoken_and_only_what_settled_is_announced(live):
    record(live, "[aria-live]")
    press(live, "Start")
    expect(live.locator("#live .state")).to_have_text("so far", timeout=SETTLES_MS)
    expect(live.locator("#live .now h2")).to_have_text(LABEL)
    expect(rows(live)).not_to_have_count(0, timeout=SETTLES_MS)
    press(live, "Stop")
    expect(live.locator("#live .facts")).to_contain_text("received", timeout=SETTLES_MS)
    *settled, last = live.evaluate("said")
    assert len(settled) == rows(live).count()
    assert all(re.search(r", at 0:\d\d$", words) for words in settled)
    assert last.startswith("The session has ended: ")
    assert sum_of_bars(live) == pytest.approx(100, abs=5)  # each is rounded to a per cent


def sum_of_bars(page: Page) -> int:
    return sum(int(share.removesuffix("%")) for share in page.locator("#live .share").all_inner_texts())


def test_a_pause_stops_the_clock_and_replay_pauses_too(live):
    press(live, "Start")
    expect(rows(live)).not_to_have_count(0, timeout=SETTLES_MS)
    replay = rows(live).get_by_role("button", name="Play segment 1")
    replay.click()
    expect(live.locator("#live").get_by_role("button", name="Resume")).to_be_visible()
    stopped = seconds(live)
    rows(live).get_by_role("button", name="Stop playing").click()
    replay.click()
    replay.wait_for(timeout=SETTLES_MS)  # it has been played
    assert seconds(live) == stopped
    press(live, "Resume")
    live.wait_for_function(
        f"document.querySelector('#live output').textContent > '0:{stopped:02d}'", timeout=SETTLES_MS
    )


def test_a_broken_connection_is_told_and_nothing_is_lost(page):
    connections = []

    def pass_on(route):
        connections.append(route)
        route.connect_to_server()

    page.route_web_socket(re.compile("/live$"), pass_on)
    page.reload()
    open_tab(page)
    press(page, "Start")
    expect(rows(page)).not_to_have_count(0, timeout=SETTLES_MS)
    record(page, ".notice")
    connections[0].close(code=1011)
    expect(notice(page)).to_have_text("Connected again. Nothing was lost.", timeout=SETTLES_MS)
    assert "connection is broken" in page.evaluate("said[0]")
    before = rows(page).count()
    expect(rows(page)).not_to_have_count(before, timeout=SETTLES_MS)
    press(page, "Stop")
    with page.expect_download() as download:
        press(page, "Save results (JSON)")
    (analysis,) = json.loads(download.value.path().read_text())
    edges = [edge for segment in analysis["segments"] for edge in (segment["start"], segment["end"])]
    assert edges == sorted(edges)  # the times of both connections are the session's
    assert len(edges) == 2 * rows(page).count()
    assert analysis["summary"]["label"]
    assert len(connections) == 2


def test_without_a_server_the_sound_is_kept(page):
    page.route_web_socket(re.compile("/live$"), lambda route: route.close(code=1011))
    page.reload()
    press(open_tab(page), "Start")
    expect(notice(page)).to_contain_text("connection is broken")
    expect(page.locator("#live output")).to_have_text("0:03", timeout=SETTLES_MS)
    press(page, "Stop")
    expect(page.locator("#live h2:visible")).to_have_text("Not analysed", timeout=SETTLES_MS)
    with page.expect_download() as download:
        press(page, "Save sound (WAV)")
    assert soundfile.info(download.value.path()).duration > 3


def test_a_refused_microphone_is_explained(playwright, server):
    allowing = "--use-fake-ui-for-media-stream"
    browser = playwright.chromium.launch(
        executable_path=str(live_page.CHROMIUM),
        args=[argument for argument in live_page.microphone_arguments("") if argument != allowing],
    )
    page = browser.new_page()
    page.goto(server)
    press(open_tab(page), "Start")
    expect(notice(page)).to_contain_text("may not use the microphone. Allow it")
    expect(page.locator("#live").get_by_role("button", name="Start")).to_be_enabled()
    browser.close()


def test_no_microphone_is_explained(page):
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))"
    )
    page.reload()
    press(open_tab(page), "Start")
    expect(notice(page)).to_contain_text("No microphone was found. Connect one")


def test_a_page_without_https_is_explained(browser, server):
    page = browser.new_page()
    page.goto(server.replace("127.0.0.1", "not-secure.test"))
    press(open_tab(page), "Start")
    expect(notice(page)).to_contain_text("only to pages on HTTPS")
    page.close()


def test_a_microphone_that_goes_away_ends_the_session_with_its_summary(page):
    page.add_init_script("""
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (asked) => (window.opened = await real(asked));
    """)
    page.reload()
    press(open_tab(page), "Start")
    expect(rows(page)).not_to_have_count(0, timeout=SETTLES_MS)
    page.evaluate("opened.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(notice(page)).to_contain_text("microphone was disconnected")
    expect(page.locator("#live .facts")).to_contain_text("received", timeout=SETTLES_MS)


def test_a_full_server_refuses_politely(live, server):
    with ExitStack() as others:
        for _ in range(MAX_SESSIONS):
            other = others.enter_context(connect(server.replace("http", "ws") + "/live"))
            other.send(json.dumps({"type": "start", "sample_rate": 16_000}))
            assert json.loads(other.recv(timeout=20))["type"] == "ready"
        press(live, "Start")
        expect(notice(live)).to_contain_text("sessions are taken. Try again", timeout=SETTLES_MS)
        expect(live.locator("#live").get_by_role("button", name="Start")).to_be_enabled()


def test_a_session_works_by_keyboard(live):
    live.locator("#live").get_by_role("button", name="Start").focus()
    live.keyboard.press("Enter")
    expect(rows(live)).not_to_have_count(0, timeout=SETTLES_MS)
    live.keyboard.press("Tab")
    live.keyboard.press("Space")  # Stop
    expect(live.locator("#live .facts")).to_contain_text("received", timeout=SETTLES_MS)
    reached = set()
    for _ in range(12):
        live.keyboard.press("Tab")
        reached.add(live.evaluate("document.activeElement.textContent"))
    assert {"Open in Recording", "Save sound (WAV)", "Save results (JSON)", "Play"} <= reached


def test_less_motion_is_respected(live):
    live.emulate_media(reduced_motion="reduce")
    expect(live.locator("#live .bar b").first).to_have_css("transition-duration", "0s")


def test_the_server_is_found_below_a_path(live):
    address = live.evaluate(
        f"""() => {{ {script("connection")};
            window.gradio_config = {{ root: "http://inside:7860/some/path" }}; // as behind a proxy
            return liveAddress();
        }}"""
    )
    assert address == live.url.replace("http:", "ws:") + "some/path/live"


def test_stopping_at_once_does_no_harm(live):
    press(live, "Start")
    press(live, "Stop")
    expect(live.locator("#live .facts")).to_contain_text("received", timeout=SETTLES_MS)
    expect(live.locator("#live h2:visible")).to_have_text("No speech")


def test_the_spectrogram_is_a_log_mel_spectrum(browser):
    """Against librosa's triangles on NumPy's transform, for 25 ms of noise at 48 kHz."""
    rate, size = 48_000, 2048
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, rate // 40)
    page = browser.new_page()
    column = page.evaluate(
        f"sound => {{ {script('spectrum')}; return new LogMel({rate}).push(Float32Array.from(sound))[0]; }}",
        noise.tolist(),
    )
    page.close()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(len(noise)) + 0.5) / len(noise))
    power = np.abs(np.fft.rfft(noise * window, size)) ** 2 / (len(noise) / 4) ** 2
    triangles = mel(sr=rate, n_fft=size, n_mels=64, fmin=0, fmax=8000, htk=True, norm=None)
    wide = triangles.astype(bool).sum(axis=1) > 1  # the narrowest take the nearest bin instead
    np.testing.assert_allclose(np.array(column)[wide], 10 * np.log10(triangles @ power)[wide], atol=0.01)


def test_the_page_keeps_the_latest_sound_alone(browser):
    page = browser.new_page()
    kept = page.evaluate(
        f"""() => {{ {script("capture")};
            const sound = new SoundBuffer(1000, 2);
            for (let i = 0; i < 50; i++) sound.push(new Float32Array(100).fill(i / 32768));
            return [sound.start, sound.end, [...sound.slice(0, 3150)], sound.wav(4.9).size];
        }}"""
    )
    page.close()
    assert kept == [3000, 5000, [30] * 100 + [31] * 50, 44 + 2 * 100]


def script(name: str) -> str:
    return (SOURCES / f"{name}.js").read_text()
