"""Voices on the page: a lane each, names, joining, giving a segment away, one shown alone, what is saved."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser.steps import drop, faults, overflow, wait_for_figures
from playwright.sync_api import Page, expect
from support import ROOT, SAMPLE_RATE, syllables

RESULT_TIMEOUT_MS = 30_000


@pytest.fixture(scope="module")
def call(tmp_path_factory) -> Path:
    """A call recorder's: three vowels of a low voice on the left, two of a high one on the right, later."""
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    low, high = syllables(3, 1, 110), np.concatenate([np.zeros(4000, np.float32), syllables(2, 2, 210)])
    length = max(len(low), len(high))
    both = [np.pad(one, (0, length - len(one))) for one in (low, high)]
    soundfile.write(path, np.stack(both, axis=1), SAMPLE_RATE)
    return path


@pytest.fixture
def opened(page, call) -> Page:
    drop(page, call)
    wait_for_figures(page)
    expect(rows(page)).to_have_count(3)  # all, A and B
    return page


def rows(page: Page):
    return page.locator("#timeline .voices > div")


def voices(page: Page) -> list[str]:
    """The voice of each segment in the table."""
    return page.locator("#segments tbody tr .emotion b").all_inner_texts()


def click(page: Page, name: str) -> None:
    page.locator("#timeline").get_by_role("button", name=name, exact=True).click()


def saved(page: Page, button: str) -> str:
    with page.expect_download(timeout=RESULT_TIMEOUT_MS) as download:
        click(page, button)
    return download.value.path().read_bytes().decode()


def choose_segment(page: Page, number: int) -> None:
    page.locator("#segments tbody tr").nth(number).locator("input").check()


def test_each_voice_has_a_lane_and_is_in_the_verdict(opened):
    assert sorted(set(voices(opened))) == ["A", "B"]
    expect(opened.locator("#answer h2")).to_contain_text("A ")
    expect(opened.locator("#answer h2")).to_contain_text(", B ")
    expect(rows(opened).nth(1)).to_contain_text("channel 1")
    heights = opened.locator("#timeline .lanes").bounding_box()["height"]
    assert heights == 378 + 2 * 24 + 2 - 28  # two lanes instead of one


def test_details_say_what_the_earlier_segments_of_a_voice_changed(page, trained):
    if not trained:
        pytest.skip("random weights take speech for other sounds")
    drop(page, ROOT / "assets" / "examples" / "conversation.ogg")
    wait_for_figures(page)
    facts = page.locator("#timeline [data-part=facts]")
    of_first = [row for row, voice in enumerate(voices(page), start=1) if voice == "A"]
    assert len(of_first) > 1
    choose_segment(page, of_first[0])
    expect(facts).to_contain_text("Valence")
    expect(facts).not_to_contain_text("earlier segments")
    for earlier, row in enumerate(of_first[1:], start=1):
        choose_segment(page, row)
        expect(facts).to_contain_text(
            re.compile(rf"By itself.* \d+%.*earlier segments of this voice \({earlier}\): ")
        )


def test_a_name_that_is_typed_is_everywhere_and_saved(opened):
    opened.get_by_label("Name of voice B").fill("  Ca\tller ")
    opened.keyboard.press("Tab")
    assert sorted(set(voices(opened))) == ["A", "Ca ller"]
    expect(opened.locator("#answer h2")).to_contain_text(", Ca ller ")
    opened.locator("#timeline [data-part=format]").select_option("json")
    [entry] = json.loads(saved(opened, "Save results"))
    assert {one["voice"] for one in entry["segments"]} == {"A", "Ca ller"}
    assert [voice["voice"] for voice in entry["voices"]] == ["A", "Ca ller"]
    assert {(one["voice"], one["channel"]) for one in entry["segments"]} == {("A", 1), ("Ca ller", 2)}


def test_two_voices_are_joined_and_parted_again(opened):
    before, written = voices(opened), opened.locator("#answer h2").inner_text()
    opened.get_by_label("Join voice B with").select_option("A")
    assert set(voices(opened)) == {"A"}
    expect(rows(opened)).to_have_count(2)
    verdict = opened.locator("#answer h2")
    expect(verdict).not_to_contain_text("B ")
    expect(verdict).to_contain_text("A ")
    choose_segment(opened, 1)
    click(opened, "Undo")
    assert voices(opened) == before
    expect(verdict).to_have_text(written)


def test_a_segment_is_given_to_another_voice_and_to_a_new_one(opened):
    first = voices(opened)[0]
    other = {"A": "B", "B": "A"}[first]
    choose_segment(opened, 1)
    whose = opened.locator("#timeline [data-part=voice]")
    expect(whose).to_have_value(first)
    whose.select_option(other)
    assert voices(opened)[0] == other
    whose.select_option(label="Another voice")
    assert voices(opened)[0] == "C"
    expect(rows(opened)).to_have_count(4)


def test_what_was_checked_is_saved_with_its_speaker(opened):
    opened.get_by_label("Name of voice A").fill("Caller")
    opened.keyboard.press("Tab")
    for number in (1, 2):
        choose_segment(opened, number)
        opened.locator("#timeline [data-part=label]").select_option("sad")
    table = list(csv.DictReader(io.StringIO(saved(opened, "Save what I checked (CSV to train on)"))))
    assert [row["emotion"] for row in table] == ["sad", "sad"]
    assert [row["speaker"] for row in table] == voices(opened)[:2]
    assert "Caller" in {row["speaker"] for row in table}


def test_one_voice_is_shown_alone_by_keyboard(opened):
    rows(opened).nth(0).locator("input[type=radio]").focus()
    opened.keyboard.press("ArrowDown")
    expect(opened.locator("#probabilities h3")).to_have_text("Probabilities · voice A")
    own = [number for number, voice in enumerate(voices(opened), start=1) if voice == "A"]
    opened.locator("#timeline .lanes").focus()
    heard = []
    for _ in own:
        opened.keyboard.press("ArrowRight")
        heard.append(int(opened.locator("#probabilities h3").inner_text().split("Segment ")[1].split(",")[0]))
    assert heard == own  # the arrow keys stay with the voice


def test_a_click_on_a_lane_plays_the_segment_of_that_voice(opened):
    both = opened.locator("#timeline .lanes").bounding_box()
    second = voices(opened).index("B") + 1
    row = opened.locator("#segments tbody tr").nth(second)
    clock = row.locator("td").nth(1).inner_text()
    start = 60 * int(clock.split(":")[0]) + float(clock.split(":")[1])
    total = opened.locator("#timeline output").inner_text().split("/ ")[1]
    duration = 60 * int(total.split(":")[0]) + float(total.split(":")[1])
    x = (start + 0.1) / duration * both["width"]
    opened.locator("#timeline .lanes").click(position={"x": x, "y": 35})
    expect(opened.locator("#probabilities h3")).to_contain_text(f"Segment {second},")


def test_voices_can_be_chosen_before(page, call):
    page.locator("#who [data-part=channels]").select_option("mix")
    page.locator("#who [data-part=number]").select_option("one")
    drop(page, call)
    wait_for_figures(page)
    expect(page.locator("#timeline [data-part=voices]")).to_be_hidden()
    assert voices(page) == []
    page.locator("#who [data-part=channels]").select_option("each")
    expect(page.locator("#who [data-part=number]")).to_be_disabled()


@pytest.mark.parametrize("size", [(1280, "light"), (400, "dark")], indirect=True)
@pytest.mark.parametrize("locale", ["en-US", "de-DE"], indirect=True)
def test_it_fits_and_is_accessible(page, call, artefacts, size, locale):
    drop(page, call)
    expect(rows(page)).to_have_count(3, timeout=RESULT_TIMEOUT_MS)
    assert overflow(page) == []
    assert faults(page) == []
    page.screenshot(path=artefacts / f"voices {size[0]} {size[1]} {locale}.png", full_page=True)
