"""The tab "Compare": one recording analysed by several models, in a real Chromium.

Of these models `glum` labels all speech sad, `cross` labels it angry, and `shy` is never sure.
"""

import csv
import io
import re

import numpy as np
import pytest
from browser.steps import choose, drop, wait_for_figures
from playwright.sync_api import Page, TimeoutError, expect
from support import syllables, write_wav

DONE_MS = 60_000
ATTEMPTS, ATTEMPT_MS = 5, 6000  # to choose models, until the page asks for them
AUDIO = "document.querySelector('#comparison audio')"
JOIN = "**/queue/join*"  # URL of the page's requests
SYLLABLES = 3


@pytest.fixture
def compare(page) -> Page:
    """The page with the tab open and two models chosen that always differ."""
    choose(page, "Compare")
    for _ in range(ATTEMPTS):
        try:
            with page.expect_response(JOIN, timeout=ATTEMPT_MS):
                choose_models(page, "cross", "glum")
            return page
        except TimeoutError:  # the page did not yet listen to its boxes
            choose_models(page)
    pytest.fail("the page does not ask for the chosen models")


@pytest.fixture
def path(tmp_path):
    return write_wav(tmp_path / "vowels & more.wav", syllables(SYLLABLES))


def choose_models(page: Page, *names: str) -> None:
    for box in page.locator("#compared-models label").all():
        box.locator("input").set_checked(box.inner_text().strip() in names)


def drop_here(page: Page, path) -> None:
    page.locator("#drop-compared input[type=file]").set_input_files(path)


def headline(page: Page):
    return page.locator("#agreement h2")


def rows(page: Page):
    return page.locator("#comparison tbody tr")


def press(page: Page, *keys: str) -> None:
    page.locator("#comparison .lanes").focus()
    for key in keys:
        page.keyboard.press(key)


def compare_recording(page: Page, path) -> None:
    drop_here(page, path)
    expect(headline(page)).to_have_text(re.compile("^They agree"), timeout=DONE_MS)


def test_where_two_models_disagree_is_counted_and_told_in_words(compare, path):
    compare_recording(compare, path)
    expect(headline(compare)).to_have_text("They agree on none of 3 segments")
    expect(compare.locator("#agreement .facts")).to_contain_text(path.name)
    expect(rows(compare)).to_have_count(1 + SYLLABLES)
    heads = compare.locator("#comparison thead th").all_inner_texts()
    assert heads == ["No.", "Start", "Agreement", "cross", "glum"]
    for row in rows(compare).all():
        _, _, agreement, cross, glum = row.locator("td").all_inner_texts()
        assert re.fullmatch(r"≠ angry \d+%", cross)
        assert re.fullmatch(r"≠ sad \d+%", glum)
        assert agreement == "≠ they differ"


def test_a_model_that_is_not_sure_contradicts_nobody(compare, path):
    choose_models(compare, "glum", "shy")
    compare_recording(compare, path)
    expect(compare.locator("#agreement")).to_contain_text("On 3 not all of them are sure (?).")
    expect(rows(compare).last).to_contain_text("? not all are sure")
    expect(rows(compare).last).to_contain_text("unknown (sad?)")


def test_other_models_answer_as_soon_as_they_are_chosen(compare, path):
    compare_recording(compare, path)
    choose_models(compare, "cross", "glum", "shy")
    expect(compare.locator("#agreement .facts")).to_contain_text("shy 0.1", timeout=DONE_MS)
    expect(compare.locator("#comparison [data-part=models] section")).to_have_count(3)
    choose_models(compare, "glum")
    expect(headline(compare)).to_have_text("Choose two to six models", timeout=DONE_MS)
    expect(compare.locator("#comparison")).to_be_hidden()
    choose_models(compare, "glum", "cross")
    expect(headline(compare)).to_have_text("They agree on none of 3 segments", timeout=DONE_MS)


def test_a_segment_is_gone_to_and_played_by_key_and_by_mouse(compare, path):
    compare_recording(compare, path)
    title = compare.locator("#comparison [data-part=title]")
    expect(title).to_have_text("Whole recording: they differ")
    press(compare, "ArrowRight", "ArrowRight")
    expect(title).to_have_text(re.compile(r"^Segment 2, .*: they differ$"))
    expect(compare.locator("#comparison input[value='2']")).to_be_checked()
    compare.wait_for_function(f"!{AUDIO}.paused")
    press(compare, "d")
    expect(title).to_have_text(re.compile("^Segment 3,"))
    press(compare, "d")  # and from the first one again
    expect(title).to_have_text(re.compile("^Segment 1,"))
    compare.wait_for_function(f"{AUDIO}.paused", timeout=DONE_MS)  # at its end
    rows(compare).nth(3).locator("td").nth(2).click()
    expect(title).to_have_text(re.compile("^Segment 3,"))
    lanes = compare.locator("#comparison .lanes")
    start, width = compare.evaluate(f"{AUDIO}.currentTime / {AUDIO}.duration"), lanes.bounding_box()["width"]
    compare.keyboard.press("Home")
    lanes.click(position={"x": start * width + 6, "y": 130})
    compare.wait_for_function(f"!{AUDIO}.paused")
    expect(title).to_have_text(re.compile("^Segment 3,"))


def test_what_each_model_says_is_shown_with_its_probabilities(compare, path):
    compare_recording(compare, path)
    press(compare, "ArrowRight")
    cross = compare.locator("#comparison section[aria-label=cross]")
    expect(cross.locator(".said")).to_have_text(re.compile(r"≠ angry \d+%"))
    expect(cross.locator("li", has_text="angry").locator(".share")).not_to_have_text("0%")
    expect(compare.locator("#comparison [data-part=announcer]")).to_contain_text(
        re.compile(r"^Segment 1, .*they differ: cross ≠ angry \d+%, glum ≠ sad \d+%$")
    )


def test_the_recording_that_is_open_can_be_compared(page, path):
    drop(page, path)
    wait_for_figures(page)
    page.get_by_role("button", name="Compare models").click()
    expect(page.locator("#agreement .facts")).to_contain_text(path.name, timeout=DONE_MS)


def test_a_bad_file_is_the_usual_error_and_the_next_one_works(compare, path, tmp_path):
    compare_recording(compare, path)
    (tmp_path / "not really.wav").write_text("no recording " * 50)
    drop_here(compare, tmp_path / "not really.wav")
    expect(compare.get_by_role("alert")).to_contain_text("cannot be analysed", timeout=DONE_MS)
    expect(compare.locator("#comparison")).to_be_hidden()
    compare_recording(compare, path)
    expect(rows(compare)).to_have_count(1 + SYLLABLES)


def test_a_comparison_is_saved_as_a_table(compare, path):
    compare_recording(compare, path)
    with compare.expect_download() as download:
        compare.get_by_role("button", name="Save comparison").click()
    assert download.value.suggested_filename.endswith(".wav.models.csv")
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [(row["cross label"], row["glum label"]) for row in table] == [("angry", "sad")] * SYLLABLES


@pytest.mark.parametrize("order", [1, -1])
def test_models_that_are_chosen_before_the_first_have_heard_it_are_the_ones_that_count(
    compare, tmp_path, order
):
    """Requests arrive route_, in either order: no error occurs, and the last choice counts."""
    long = write_wav(tmp_path / "long.wav", np.tile(syllables(SYLLABLES), 20))
    held_routes = []

    def hold(route):
        held_routes.append(route)
        if len(held_routes) == 3:
            for late_route in held_routes[::order]:
                late_route.fulfill(response=late_route.fetch())

    compare.route(JOIN, hold)
    with compare.expect_request(JOIN):
        drop_here(compare, long)
    choose_models(compare, "cross")
    choose_models(compare, "cross", "shy")
    expect(compare.locator("#agreement .facts")).to_contain_text("shy 0.1", timeout=DONE_MS)
    expect(compare.locator("#agreement .facts")).to_contain_text("long.wav")
    expect(compare.locator("#comparison [data-part=models] section")).to_have_count(2)


def test_another_recording_takes_the_place_of_one_that_is_still_heard(compare, path, tmp_path):
    long = write_wav(tmp_path / "long.wav", np.tile(syllables(SYLLABLES), 100))
    drop_here(compare, long)
    expect(compare.locator("#agreement")).to_contain_text("long.wav", timeout=DONE_MS)
    drop_here(compare, path)
    expect(headline(compare)).to_have_text("They agree on none of 3 segments", timeout=DONE_MS)
    expect(compare.locator("#agreement .facts")).to_contain_text(path.name)
