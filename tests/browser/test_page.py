"""What a person can do on the page, in a real Chromium."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser.steps import drop, wait_for_figures
from playwright.sync_api import expect
from support import ROOT, syllables, write_wav

from ser_core.audio.waveform import SAMPLE_RATE

ANSWER = re.compile(r"— \d+% sure|Not sure — |Several emotions —|No speech found|^A .*, B ")


@pytest.fixture
def expect_angry(page, trained, request):
    """Checks that the headline names the emotion; random weights or vowels may get any verdict."""
    pattern = re.compile(r"^Angry — \d+% sure") if trained else ANSWER
    try:
        request.getfixturevalue("ravdess_angry")
    except pytest.skip.Exception:
        pattern = ANSWER
    return lambda: expect(page.locator("#answer h2")).to_have_text(pattern, timeout=60_000)


def test_a_dropped_clip_shows_its_emotion_without_a_button(page, expect_angry, ravdess_angry):
    drop(page, ravdess_angry)
    expect_angry()
    wait_for_figures(page)
    expect(page.locator("#answer")).to_contain_text(ravdess_angry.name)
    page.wait_for_function("document.querySelector('#timeline audio').duration > 3")  # it can be played


COUNT_PRESSES = """window.presses = 0;
    ["pointerdown", "keydown"].forEach((kind) => addEventListener(kind, () => presses++, true))"""
INPUTS = {
    "picked": lambda page, path: page.locator("#drop input[type=file]").set_input_files(path),
    "dropped": drop,
}


@pytest.mark.parametrize("way", INPUTS)
def test_a_new_visitor_needs_at_most_one_press_after_choosing_a_sound(page, way, three_clips):
    INPUTS[way](page, three_clips)
    page.evaluate(COUNT_PRESSES)
    expect(page.locator("#answer h2")).to_have_text(ANSWER, timeout=60_000)
    assert page.evaluate("presses") <= 1


@pytest.mark.parametrize(
    ("name", "segments"), [("a sad woman", 1), ("an angry man", 1), ("both in conversation", 8)]
)
def test_an_example_is_heard_at_a_click(page, name, segments):
    page.get_by_role("button", name=name).click()
    expect(page.locator("#answer h2")).to_have_text(ANSWER, timeout=60_000)
    wait_for_figures(page)
    expect(page.locator("#segments tbody tr")).to_have_count(segments + 1)  # and the whole
    page.wait_for_function("document.querySelector('#timeline audio').duration > 2")  # it can be played


def test_a_recording_shows_its_emotion_when_it_is_stopped_by_one_press(page, expect_angry):
    page.get_by_role("button", name="Record", exact=True).click()
    page.evaluate(COUNT_PRESSES)
    expect(page.locator("#record")).to_contain_text("0:04", timeout=20_000)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    expect_angry()
    assert page.evaluate("presses") <= 1
    wait_for_figures(page)
    expect(page.locator("#answer")).to_contain_text("Your recording")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()  # ready for the next


def test_generated_speech_gets_an_answer_and_is_analysed_once(page, tmp_path):
    calls = []
    page.on("request", lambda request: request.url.endswith("/queue/join?") and calls.append(request.url))
    drop(page, write_wav(tmp_path / "vowels.wav", syllables(2)))
    expect(page.locator("#answer h2")).to_have_text(ANSWER, timeout=60_000)
    wait_for_figures(page)
    assert len(calls) == 1


def test_silence_gets_no_emotion(page, tmp_path):
    drop(page, write_wav(tmp_path / "silence.wav", np.zeros(3 * SAMPLE_RATE, np.float32)))
    expect(page.locator("#answer h2")).to_have_text("No speech found", timeout=60_000)
    expect(page.locator("#probabilities")).to_contain_text("No probabilities without speech")


def test_a_broken_file_is_explained_and_the_next_one_works(page, tmp_path):
    text = tmp_path / "not & really.wav"
    text.write_text("This is a text file that calls itself a recording. " * 20)
    drop(page, text)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("cannot be analysed", timeout=60_000)
    expect(alert).to_contain_text(re.compile(r"[A-Z].{20,}\."))
    expect(alert).to_contain_text("not & really.wav")
    expect(page.locator("#details")).to_be_hidden()
    drop(page, write_wav(tmp_path / "vowels.wav", syllables(2)))
    wait_for_figures(page)


def test_a_file_counts_by_its_content_not_its_name(page, tmp_path):
    soundfile.write(tmp_path / "vowels.flac", syllables(2), SAMPLE_RATE)
    drop(page, (tmp_path / "vowels.flac").rename(tmp_path / "vowels"))
    expect(page.locator("#answer h2")).to_have_text(ANSWER, timeout=60_000)


def test_choosing_a_row_shows_that_segment_and_plays_from_it(page, three_clips):
    drop(page, three_clips)
    wait_for_figures(page)
    row = page.locator("#segments tbody tr").nth(2)
    row.locator("td").nth(3).click()
    expect(page.locator("#probabilities h3")).to_contain_text("Segment 2,")
    start = float(row.locator("input").get_attribute("data-start"))
    assert start > 0
    page.wait_for_function(f"Math.abs(document.querySelector('#timeline audio').currentTime - {start}) < 0.1")


def test_a_new_recording_begins_with_the_whole_again(page, three_clips, tmp_path):
    drop(page, three_clips)
    wait_for_figures(page)
    page.locator("#segments input").nth(1).check()
    expect(page.locator("#probabilities h3")).to_contain_text("Segment 1,")
    drop(page, write_wav(tmp_path / "vowels.wav", syllables(2)))
    expect(page.locator("#answer")).to_contain_text("vowels.wav", timeout=60_000)
    expect(page.locator("#probabilities h3")).to_contain_text("Whole recording")
    expect(page.locator("#segments input").first).to_be_checked()


def test_everything_works_by_keyboard(page, three_clips):
    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        pytest.fail(f"forty tabs do not reach {selector}")

    # Not expect_file_chooser: it begins to listen too late for a key press.
    page.on("filechooser", lambda chooser: chooser.set_files(three_clips))
    tab_to("#record .record-button")
    tab_to("#drop button")
    page.keyboard.press("Enter")
    wait_for_figures(page)
    tab_to("#segments input")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#probabilities h3")).to_contain_text("Segment 1,")


def test_figures_follow_when_the_theme_changes(page, three_clips):
    drop(page, three_clips)
    wait_for_figures(page)
    brightness = """() => {
        const canvas = document.querySelector('#timeline canvas[data-part=picture]');
        const dots = canvas.width / canvas.clientWidth;
        const { data } = canvas.getContext('2d').getImageData(0, 357 * dots, canvas.width, 20 * dots);
        return Math.max(...data.filter((_, i) => i % 4 === 0 && data[i + 3] > 200)); // red of opaque dots
    }"""
    assert page.evaluate(brightness) < 205  # the ticks are the brightest on the time axis
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({brightness})() > 215")


def test_screenshot_for_the_readme(page, artefacts):
    """The example conversation; `SER_SCREENSHOTS=assets` puts it where the README shows it."""
    drop(page, ROOT / "assets" / "examples" / "conversation.ogg")
    wait_for_figures(page)
    expect(page.locator("#timeline .voices > div")).to_have_count(3)  # all, A and B
    path = Path(os.environ.get("SER_SCREENSHOTS", artefacts)) / "screenshot.png"
    page.locator("#segments input").nth(1).check()
    expect(page.locator("#probabilities h3")).to_contain_text("Segment 1,")
    page.add_style_tag(content=".mic-select { display: none; }")  # it would name Chromium's fake microphone
    bottom = "part => part.getBoundingClientRect().bottom + window.scrollY"
    end = page.locator("#timeline [data-part=voices]").evaluate(bottom)
    clip = {"x": 0, "y": 0, "width": 1280, "height": end + 6}
    page.screenshot(path=path, full_page=True, clip=clip)
    assert path.stat().st_size < 400_000
