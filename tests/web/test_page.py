"""The page on the visitor's own device: same results as Python, no requests, offline, bad input."""

import json

import pytest
from static_page import ANSWER, LOADING_MS, READY, analysis

from ser_core.recognition.recognizer import Recognizer


@pytest.fixture
def page(browser, address):
    context = browser.new_context(permissions=["microphone"], viewport={"width": 400, "height": 800})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(READY, timeout=LOADING_MS)
    yield page
    context.close()


def test_a_file_gives_the_segments_of_python_and_no_request(page, ravdess_angry):
    requests = []
    page.on("request", lambda request: request.url.startswith("http") and requests.append(request.url))
    page.set_input_files("#drop input", ravdess_angry)
    page.wait_for_selector(ANSWER)
    ours = analysis(page)
    theirs = Recognizer.load("small").analyze_file(ravdess_angry)
    assert [(s["start"], s["end"], s["label"]) for s in ours["segments"]] == [
        (round(s.start, 3), round(s.end, 3), s.label) for s in theirs.segments
    ]
    for mine, segment in zip(ours["segments"], theirs.segments, strict=True):
        assert mine["probabilities"] == pytest.approx(segment.probabilities, abs=2e-3)
    assert [request for request in requests if not request.endswith("page.js")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_works_without_the_network(page, ravdess_angry):
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector(READY, timeout=LOADING_MS)
    page.set_input_files("#drop input", ravdess_angry)
    page.wait_for_selector("#answer[data-state=done]")
    assert page.inner_text("#answer h2").startswith("Angry")


def test_the_microphone_is_heard_without_a_request(page):
    page.click("#live-tab-button")
    requests = []
    page.on("request", lambda request: request.url.startswith("http") and requests.append(request.url))
    page.click("#live [data-part=main]")
    page.wait_for_selector("#live [data-part=history] tr", timeout=LOADING_MS)
    page.click("#live [data-part=stop]")
    page.wait_for_selector("#live [data-part=summary]:not([hidden])")
    facts = page.inner_text("#live [data-part=summary] .facts").split()
    assert facts[0] == facts[3]  # samples captured and heard
    assert requests == []


def test_a_file_that_is_no_recording_gets_a_sentence(page, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF nothing that is sound" * 10)
    page.set_input_files("#drop input", tmp_path / "a.wav")
    page.wait_for_selector("#answer[data-state=problem]")
    assert "cannot read this file" in page.inner_text("#answer")


def test_a_model_with_another_hash_is_refused(browser, address, dist):
    context = browser.new_context(locale="de-DE", service_workers="block")
    page = context.new_page()
    name = json.loads((dist / "settings.js").read_text().split(" = ", 1)[1].rstrip(";\n"))["models"]["small"][
        "path"
    ]
    content = bytearray((dist / name).read_bytes())
    content[-1] ^= 1
    page.route(f"**/{name}", lambda route: route.fulfill(body=bytes(content)))
    page.goto(address)
    page.wait_for_selector("body[data-state=failed]", timeout=LOADING_MS)
    assert "SHA-256" in page.inner_text("[data-page=status]")
    assert "verworfen" in page.inner_text("[data-page=status]")
    context.close()
