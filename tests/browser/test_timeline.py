"""The timeline of a recording: playback, navigation, corrections and saving, in a real Chromium."""

import csv
import io
import json
import re

import numpy as np
import pytest
from browser.steps import drop, wait_for_figures
from playwright.sync_api import Page, expect
from support import syllables, write_wav

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import LABELS
from ser_core.export import EXTENSIONS, WRITERS
from train.corpora import read_corpus

PLAYED_S = 0.3  # a browser stops up to this much later
RESULT_TIMEOUT_MS = 30_000
AUDIO = "document.querySelector('#timeline audio')"


@pytest.fixture
def opened(page, tmp_path) -> Page:
    """The page with a recording of three vowels, with pauses of 0.6 s, open."""
    drop(page, write_wav(tmp_path / "vowels.wav", syllables(3)))
    wait_for_figures(page)
    expect(page.locator("#segments tbody tr")).to_have_count(4)
    return page


def segments(page: Page) -> list[tuple[float, float, str]]:
    """Start, end and label of each row of the table, except that of the whole recording."""
    rows = []
    for row in page.locator("#segments tbody tr").all()[1:]:
        _, start, end, label, _ = row.locator("td").all_inner_texts()
        rows.append((seconds(start), seconds(end), label))
    return rows


def seconds(clock: str) -> float:
    minutes, rest = clock.split(":")
    return 60 * int(minutes) + float(rest)


def lanes(page: Page):
    return page.locator("#timeline .lanes")


def point(page: Page, time: float, y: float = 15) -> dict[str, float]:
    """The position of a time on the lanes while the whole recording is visible; `y` 15 is in the segments."""
    duration = seconds(page.locator("#timeline output").inner_text().split(" / ")[1])
    return {"x": time / duration * lanes(page).bounding_box()["width"], "y": y}


def press(page: Page, *keys: str) -> None:
    lanes(page).focus()
    for key in keys:
        page.keyboard.press(key)


def click(page: Page, name: str) -> None:
    page.locator("#timeline").get_by_role("button", name=name, exact=True).click()


def title(page: Page):
    return page.locator("#probabilities h3")


def now(page: Page) -> float:
    return page.evaluate(f"{AUDIO}.currentTime")


def saved(page: Page, button: str) -> tuple[str, str]:
    """Name and content of the file that a button saves."""
    with page.expect_download(timeout=RESULT_TIMEOUT_MS) as download:
        click(page, button)
    return download.value.suggested_filename, download.value.path().read_bytes().decode()


def results(page: Page) -> list[dict]:
    [analysis] = json.loads(saved(page, "Save results")[1])
    return analysis["segments"]


def test_a_click_on_a_segment_plays_it_to_its_end(opened):
    start, end, _ = segments(opened)[1]
    lanes(opened).click(position=point(opened, (start + end) / 2))
    expect(title(opened)).to_contain_text("Segment 2,")
    opened.wait_for_function(f"!{AUDIO}.paused && {AUDIO}.currentTime > {start}", timeout=RESULT_TIMEOUT_MS)
    opened.wait_for_function(f"{AUDIO}.paused", timeout=RESULT_TIMEOUT_MS)
    assert end <= now(opened) <= end + PLAYED_S


def test_arrow_keys_play_one_segment_after_the_other(opened):
    for number in (1, 2):
        press(opened, "ArrowRight")
        expect(title(opened)).to_contain_text(f"Segment {number},")
        expect(opened.locator(f"#segments input[value='{number}']")).to_be_checked()
        assert now(opened) >= segments(opened)[number - 1][0] - 0.01
    press(opened, "ArrowLeft")
    expect(title(opened)).to_contain_text("Segment 1,")


def test_space_plays_and_pauses(opened):
    press(opened, " ")
    opened.wait_for_function(f"{AUDIO}.currentTime > 0.1", timeout=RESULT_TIMEOUT_MS)
    expect(opened.locator("#timeline [data-do=play]")).to_have_text("Pause")
    press(opened, " ")
    expect(opened.locator("#timeline [data-do=play]")).to_have_text("Play")
    assert opened.evaluate(f"{AUDIO}.paused")


def test_the_view_follows_playback(opened):
    press(opened, "+", "+", "+", "Home", " ")  # an eighth is seen
    width = lanes(opened).bounding_box()["width"]
    lanes(opened).hover(position={"x": width - 1, "y": 15})
    edge = seconds(opened.locator("#timeline .reading").inner_text().split(" ")[0])
    opened.wait_for_function(f"{AUDIO}.currentTime > {edge + 0.1}", timeout=RESULT_TIMEOUT_MS)
    opened.wait_for_function(
        "edge => parseFloat(document.querySelector('#timeline .reading').textContent.split(':')[1]) > edge",
        arg=edge + 0.05,
    )
    assert seconds(opened.locator("#timeline .reading").inner_text().split(" ")[0]) > edge


def test_the_values_under_the_pointer_are_read_in_words(opened):
    start, end, label = segments(opened)[0]
    reading = opened.locator("#timeline .reading")
    lanes(opened).hover(position=point(opened, (start + end) / 2, y=300))
    pattern = rf"level −?\d+ dB · segment 1, {re.escape(label)}: \w+ \d+%, .* · \d+ Hz"
    expect(reading).to_have_text(re.compile(pattern))
    lanes(opened).hover(position=point(opened, end + 0.3))
    expect(reading).to_have_text(re.compile("no speech$"))


@pytest.mark.parametrize("how", ["key", "button", "wheel"])
def test_zooming_in_and_out_and_looking_elsewhere(opened, how):
    def left_edge() -> float:
        lanes(opened).hover(position={"x": 0, "y": 15})
        return seconds(opened.locator("#timeline .reading").inner_text().split(" ")[0])

    start, end, _ = segments(opened)[1]
    lanes(opened).hover(position=point(opened, (start + end) / 2))
    if how == "wheel":
        opened.keyboard.down("Control")
        opened.mouse.wheel(0, -800)
        opened.keyboard.up("Control")
    else:
        opened.locator("#segments input").nth(2).check()
        press(opened, "+", "+") if how == "key" else [click(opened, "Zoom in") for _ in range(2)]
    near = left_edge()
    assert 0 < near < end
    press(opened, "Shift+ArrowRight") if how == "key" else click(opened, "Later")
    assert left_edge() > near
    press(opened, "0") if how == "key" else click(opened, "Whole")
    assert left_edge() == 0


def test_a_corrected_label_is_in_the_table_and_in_the_results(opened):
    before = results(opened)
    opened.locator("#segments input").nth(1).check()
    corrected = next(name for name in LABELS if name != before[0]["label"])
    opened.locator("#timeline").get_by_label("Emotion").select_option(corrected)
    assert segments(opened)[0][2] == f"{corrected} ✓"
    after = results(opened)
    assert after[0]["label"] == corrected
    assert after[0]["probabilities"] == before[0]["probabilities"]
    assert after[1:] == before[1:]
    click(opened, "Undo")
    assert results(opened) == before


def test_edges_move_by_number_by_key_and_by_mouse_and_stop_at_the_neighbours(opened):
    before = segments(opened)
    opened.locator("#segments input").nth(2).check()
    box = opened.locator("#timeline").get_by_label("Start")
    box.fill("0")
    box.press("Enter")
    assert segments(opened)[1][0] == before[0][1]  # not before the first one's end
    press(opened, ".", ".", "[")  # 0.1 s after where it begins
    assert segments(opened)[1][0] == pytest.approx(before[1][0] + 0.1, abs=0.02)
    grip = point(opened, before[1][1])
    frame = lanes(opened).bounding_box()
    opened.mouse.move(frame["x"] + grip["x"], frame["y"] + 60)
    opened.mouse.down()
    opened.mouse.move(frame["x"] + grip["x"] - 12, frame["y"] + 60, steps=4)
    opened.mouse.up()
    assert segments(opened)[1][1] < before[1][1]
    press(opened, "Control+z", "Control+z", "Control+z")
    assert segments(opened) == before


def test_splitting_and_merging(opened):
    before = segments(opened)
    opened.locator("#segments input").nth(1).check()
    press(opened, ".", ".", ".", ".", "s")
    first, second = segments(opened)[:2]
    assert first[0] == before[0][0]
    assert first[1] == second[0] == pytest.approx(before[0][0] + 0.2, abs=0.02)
    press(opened, "m")
    assert [segment[:2] for segment in segments(opened)] == [segment[:2] for segment in before]
    press(opened, "m")
    merged = segments(opened)[0]
    assert merged[:2] == (before[0][0], before[1][1])
    two, one = results(opened), len(before) - 1
    assert len(two) == one
    assert sum(two[0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_what_was_checked_is_a_corpus_that_training_reads(opened, tmp_path):
    save = opened.get_by_role("button", name="Save what I checked (CSV to train on)")
    expect(save).to_be_disabled()
    opened.locator("#segments input").nth(1).check()
    press(opened, "4", "ArrowRight", "1")  # sad, neutral
    name, content = saved(opened, "Save what I checked (CSV to train on)")
    (tmp_path / name).write_text(content, newline="")
    clips = read_corpus(tmp_path / name)  # vowels.wav lies beside it
    assert [clip.emotion for clip in clips] == ["sad", "neutral"]
    for clip, (start, end, _) in zip(clips, segments(opened), strict=False):
        assert clip.stretch_s == pytest.approx((start, end), abs=0.006)


def test_every_format_can_be_saved(opened):
    for number, name in enumerate(WRITERS):
        opened.locator("#timeline").get_by_label("Format").select_option(name)
        file, content = saved(opened, "Save results")
        assert file == f"vowels.wav.{EXTENSIONS.get(name, name)}", number
        assert content
    opened.locator("#timeline").get_by_label("Format").select_option("csv")
    rows = list(csv.DictReader(io.StringIO(saved(opened, "Save results")[1])))
    assert [(float(row["start"]), float(row["end"])) for row in rows] == [
        pytest.approx(segment[:2], abs=0.006) for segment in segments(opened)
    ]


def test_an_explanation_is_drawn_over_the_spectrogram_and_told(opened, trained):
    if not trained:
        pytest.skip("needs a model that reads a log-mel spectrogram")
    opened.locator("#segments input").nth(1).check()
    start, end, _ = segments(opened)[0]
    spot = point(opened, (start + end) / 2, y=300)
    around = """([x, y]) => {
        const canvas = document.querySelector('#timeline canvas[data-part=picture]');
        const dots = canvas.width / canvas.clientWidth;
        const box = [x - 20, y - 20, 40, 40].map((pixels) => pixels * dots);
        return canvas.getContext('2d').getImageData(...box).data.join();
    }"""
    plain = opened.evaluate(around, [spot["x"], spot["y"]])
    click(opened, "Explain this segment")
    expect(opened.locator("#probabilities")).to_contain_text("What spoke for", timeout=RESULT_TIMEOUT_MS)
    expect(opened.get_by_role("button", name="Hide the explanation")).to_be_visible()
    opened.wait_for_function(f"plain => ({around})([{spot['x']}, {spot['y']}]) !== plain", arg=plain)
    click(opened, "Hide the explanation")
    opened.wait_for_function(f"plain => ({around})([{spot['x']}, {spot['y']}]) === plain", arg=plain)


def test_the_name_of_a_file_is_never_markup(page, tmp_path):
    path = write_wav(tmp_path / "<img src=x onerror=alert(1)>.wav", syllables(1))
    drop(page, path)
    wait_for_figures(page)
    assert page.locator("#timeline img").count() == 0


def test_a_recording_without_speech_can_still_be_looked_at(page, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.01, 2 * SAMPLE_RATE).astype(np.float32)
    drop(page, write_wav(tmp_path / "noise.wav", noise))
    wait_for_figures(page)
    expect(page.locator("#segments tbody tr")).to_have_count(1)
    press(page, "ArrowRight", "s", "m", "1", "e")  # nothing to go to, split, merge, name or explain
    assert saved(page, "Save results")[0] == "noise.wav.json"
