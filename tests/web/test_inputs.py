"""What visitors bring: kinds of file, browsers that lack something, no microphone, no room."""

import av
import numpy as np
import pytest
import soundfile
import soxr
from static_page import ARGUMENTS, CHROMIUM, LOADING_MS, READY, analysis, answer
from support import syllables

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.recognition.recognizer import Recognizer
from web.serving import serving

RATE = 48_000  # Hz, of the files
CODECS = {"mp3": "libmp3lame", "m4a": "aac", "webm": "libopus"}


def encoded(path, samples):
    """Writes `samples` at 16 kHz with the codec of the file's extension."""
    sound = soxr.resample(samples, SAMPLE_RATE, RATE).astype(np.float32)[None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, "mono", RATE, stream.frame_size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def opened(browser, dist):
    """A page with its model, for all tests here that change nothing of it."""
    with serving(dist) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector(READY, timeout=LOADING_MS)
        yield page
        context.close()


@pytest.mark.parametrize("extension", CODECS)
def test_compressed_files_give_the_segments_of_python(opened, tmp_path, ravdess_angry, extension):
    path = encoded(tmp_path / f"a.{extension}", soundfile.read(ravdess_angry, dtype="float32")[0])
    answer(opened, path)
    ours = analysis(opened)
    theirs = Recognizer.load("small").analyze_file(path)
    assert len(ours["segments"]) == len(theirs.segments) > 0
    for mine, segment in zip(ours["segments"], theirs.segments, strict=True):
        assert (mine["start"], mine["end"]) == pytest.approx((segment.start, segment.end), abs=0.01)
        assert mine["probabilities"] == pytest.approx(segment.probabilities, abs=0.02)
    assert ours["duration"] == pytest.approx(theirs.duration, abs=0.002)


def test_more_than_an_hour_is_refused_by_the_header(opened, tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(8_000 * 3_700, np.int16), 8_000)
    answer(opened, tmp_path / "a.flac")
    assert "longer than an hour" in opened.inner_text("#answer")


def test_a_cut_file_is_analysed_as_far_as_it_goes(opened, tmp_path):
    soundfile.write(tmp_path / "a.wav", syllables(5), SAMPLE_RATE, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(content[: len(content) // 2])
    answer(opened, tmp_path / "b.wav")
    assert opened.get_attribute("#answer", "data-state") == "done"


def test_the_saved_json_has_the_fields_of_python(opened, ravdess_angry):
    from ser_core.export.json import to_dict

    answer(opened, ravdess_angry)
    ours = analysis(opened)
    theirs = to_dict(Recognizer.load("small").analyze_file(ravdess_angry))
    assert list(ours) == list(theirs)
    assert list(ours["segments"][0]) == list(theirs["segments"][0])
    assert ours["schema"] == theirs["schema"]


def test_details_say_what_earlier_segments_changed(opened, tmp_path, ravdess_angry):
    sound, rate = soundfile.read(ravdess_angry)
    soundfile.write(tmp_path / "three.wav", np.concatenate([sound, np.zeros(rate)] * 3), rate)
    answer(opened, tmp_path / "three.wav")
    for row, said in ((1, False), (3, True)):
        opened.locator("#segments tbody tr").nth(row).locator("input").check()
        facts = opened.locator("#timeline [data-part=facts]").inner_text()
        assert "Valence" in facts
        assert ("earlier segments of this voice (2)" in facts) is said


def test_without_simd_a_sentence_sends_to_the_server(browser, address):
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    page.add_init_script("WebAssembly.validate = () => false")  # as a browser without SIMD answers
    page.goto(address)
    page.wait_for_selector("body[data-state=unsupported]")
    words = page.inner_text("[data-page=status]")
    assert "SIMD" in words
    assert "SER Studio on a computer" in words
    context.close()


@pytest.mark.parametrize("place", ["the device", "WebAssembly"])
def test_with_too_little_memory_a_sentence_sends_to_the_server(browser, address, place):
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    if place == "the device":
        page.add_init_script("Object.defineProperty(navigator, 'deviceMemory', { get: () => 0.5 })")
    else:
        fails = "WebAssembly.Memory = class { constructor() { throw new RangeError('no memory'); } };"
        page.route(
            "**/vendor/ort.wasm.min.mjs",
            lambda route: route.fulfill(content_type="text/javascript", body=fails + route.fetch().text()),
        )
    page.goto(address)
    page.wait_for_selector("body[data-state=unsupported], body[data-state=failed]", timeout=LOADING_MS)
    words = page.inner_text("[data-page=status]")
    assert "too little memory" in words
    assert "SER Studio on a computer" in words
    context.close()


def test_without_room_for_the_model_it_works_and_says_so(browser, address, ravdess_angry):
    context = browser.new_context()
    page = context.new_page()
    quota = {"origin": address.rstrip("/"), "quotaSize": 3_000_000}
    context.new_cdp_session(page).send("Storage.overrideQuotaForOrigin", quota)
    page.goto(address)
    page.wait_for_selector(READY, timeout=LOADING_MS)
    assert "no room" in page.inner_text("[data-page=status]")
    answer(page, ravdess_angry)
    assert page.get_attribute("#answer", "data-state") == "done"
    context.close()


@pytest.mark.parametrize("arguments", [(), ("--use-fake-device-for-media-stream",)], ids=["none", "refused"])
def test_without_a_microphone_a_sentence_says_what_to_do(opened, driver, arguments):
    chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=[*ARGUMENTS, *arguments])
    page = chromium.new_page()
    page.goto(opened.url)
    page.wait_for_selector(READY, timeout=LOADING_MS)
    page.click("#live-tab-button")
    page.click("#live [data-part=main]")
    page.wait_for_selector("#live [data-part=notice][data-kind=problem]")
    words = page.inner_text("#live [data-part=notice]")
    assert ("may not use" if arguments else "No microphone was found") in words
    chromium.close()
