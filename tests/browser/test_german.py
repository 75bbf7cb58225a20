"""The page in a German Chromium: all texts are German; files for programs are English."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.conftest import opened as opened_page
from browser.steps import choose, drop, faults, overflow
from playwright.sync_api import Page, Route, expect
from support import syllables, write_wav

from ser_core.emotions import LABELS, UNKNOWN
from ser_ui import page as layout
from ser_ui.server.limits import MAX_BODY_BYTES
from ser_ui.words import PHRASES

GERMAN = PHRASES["de"]
RESULT_TIMEOUT_MS = 60_000
NAMES = {GERMAN.emotion(label): label for label in (*LABELS, UNKNOWN)}
# Frequent English words that are not German, and some of Gradio's.
ENGLISH = re.compile(
    r"\b(the|and|of|with|this|your|is|are|press|to|not|it|from|file|files|no|speech|sound"
    r"|Error|Close|Select|Uploading|Progress|queue|processing)\b"
)
# All visible texts and labels for screen readers, except code and what is marked as English.
READ = """() => {
    const skipped = "[lang=en], code, script, style, .mic-select option"; // microphones have their own names
    const said = [];
    for (const box of document.querySelectorAll(".gradio-container *")) {
        if (!box.checkVisibility() || box.closest(skipped)) continue;
        said.push(box.ariaLabel, box.title, box.placeholder);
        const texts = [...box.childNodes].filter((part) => part.nodeType === Node.TEXT_NODE);
        said.push(...texts.map((part) => part.textContent.trim()));
    }
    return [...new Set(said.filter(Boolean))];
}"""

narrow = pytest.mark.parametrize("size", [(400, "light")], ids=["400"], indirect=True)


@pytest.fixture(scope="module")
def locale() -> str:
    return "de-DE"


@pytest.fixture(scope="module")
def empty(browser, server, locale) -> Iterator[Page]:
    """The narrow page of a new visitor; tests only look at it."""
    with opened_page(browser, server, 400, "light", locale) as page:
        yield page


def leftovers(page: Page) -> list[str]:
    """English texts: phrases of the English page, and sentences with English words."""
    english = set(PHRASES["en"].words.values()) - set(GERMAN.words.values())
    return [text for text in page.evaluate(READ) if text in english or ENGLISH.search(text)]


@pytest.fixture
def opened(page, tmp_path) -> Page:
    """The page with a recording of three vowels open."""
    drop(page, write_wav(tmp_path / "Vokale.wav", syllables(3)))
    expect(page.locator("#probabilities h3")).to_contain_text("Ganze Aufnahme", timeout=RESULT_TIMEOUT_MS)
    return page


@pytest.mark.parametrize("tab", [tab.NAME for tab in layout.TABS])
def test_a_tab_is_german_before_anything_is_dropped_and_fits(empty, tab, artefacts):
    assert empty.evaluate("document.documentElement.lang") == "de"
    choose(empty, tab)
    expect(empty.locator(f"#{tab}-tab")).to_be_visible()
    empty.screenshot(path=artefacts / f"german-{tab}.png", full_page=True)
    assert not leftovers(empty)
    assert not overflow(empty)


@pytest.mark.parametrize("size", [(1280, "light"), (400, "light")], ids=["1280", "400"], indirect=True)
def test_an_analysis_is_german_and_fits(opened, size, artefacts):
    opened.locator("#segments input").nth(1).check()
    opened.locator("#timeline summary").click()
    opened.screenshot(path=artefacts / f"german-result-{size[0]}.png", full_page=True)
    assert not leftovers(opened)
    assert not overflow(opened)
    assert not faults(opened)


def test_emotions_have_german_names_and_files_the_english_ones(opened):
    text = opened.locator("#segments tbody tr").nth(1).locator("td").nth(3).inner_text()
    german = re.sub(r"unbekannt \(.*", "unbekannt", text)
    with opened.expect_download(timeout=RESULT_TIMEOUT_MS) as download:
        opened.get_by_role("button", name="Ergebnisse speichern").click()
    [analysis] = json.loads(download.value.path().read_text())
    assert analysis["segments"][0]["label"] == NAMES[german]
    assert set(analysis["segments"][0]["probabilities"]) == set(LABELS)


def test_why_a_file_cannot_be_read_is_said_in_german(page, tmp_path):
    (tmp_path / "Text.wav").write_text("no recording " * 50)
    drop(page, tmp_path / "Text.wav")
    expect(page.get_by_role("alert")).to_contain_text("Das ist keine Aufnahme", timeout=RESULT_TIMEOUT_MS)
    assert not leftovers(page)


@narrow
def test_several_files_are_told_in_german_and_fit(page, tmp_path, artefacts):
    (tmp_path / "Text.wav").write_text("no recording " * 50)
    choose(page, "files")
    paths = [write_wav(tmp_path / "a.wav", syllables(2)), tmp_path / "Text.wav"]
    page.locator("#drop-files input[type=file]").set_input_files(paths)
    expect(page.locator("#files [data-part=progress]")).to_have_text(
        "2 von 2 Dateien fertig, 1 nicht auswertbar", timeout=RESULT_TIMEOUT_MS
    )
    page.screenshot(path=artefacts / "german-files-400.png", full_page=True)
    assert not leftovers(page)
    assert not overflow(page)


@narrow
def test_a_live_session_is_german_and_fits(page, artefacts):
    choose(page, "live")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#live tbody tr")).not_to_have_count(0, timeout=RESULT_TIMEOUT_MS)
    assert not leftovers(page)
    page.get_by_role("button", name="Stopp", exact=True).click()
    expect(page.locator("#live .facts")).to_contain_text("angekommen", timeout=RESULT_TIMEOUT_MS)
    page.screenshot(path=artefacts / "german-live-400.png", full_page=True)
    assert not leftovers(page)
    assert not overflow(page)


@narrow
def test_a_comparison_is_german_and_fits(page, tmp_path, artefacts):
    choose(page, "compare")
    for box in page.locator("#compared-models label").all():
        box.locator("input").set_checked(box.inner_text().strip() in ("cross", "glum"))
    path = write_wav(tmp_path / "Vokale.wav", syllables(3))
    page.locator("#drop-compared input[type=file]").set_input_files(path)
    expect(page.locator("#agreement h2")).to_have_text(
        "Sie sind sich bei keinem von 3 Abschnitten einig", timeout=RESULT_TIMEOUT_MS
    )
    page.locator("#comparison input[type=radio]").nth(1).check()
    page.locator("#comparison summary").click()
    page.screenshot(path=artefacts / "german-compare-400.png", full_page=True)
    assert not leftovers(page)
    assert not overflow(page)


def lose(route: Route) -> None:
    """Deletes the recording between its upload and its analysis, as after a long time."""
    [file, *_] = route.request.post_data_json["data"]
    Path(file["path"]).unlink()
    route.continue_()


def swell(route: Route) -> None:
    """Sends more than the server accepts, which is refused."""
    route.continue_(post_data=b" " * (MAX_BODY_BYTES + 1))


def be_busy(route: Route) -> None:
    """Responds as a busy server; Gradio's page uses only the status."""
    route.fulfill(status=503, json={"detail": "busy"})


@pytest.mark.parametrize(
    ("fault", "message", "failing"),
    [
        (lose, "Legen Sie sie noch einmal ab.", ""),
        (swell, "Mehr als 4 MB auf einmal.", "413"),
        (be_busy, "Der Server ist mit anderen Aufnahmen beschäftigt.", "503"),
    ],
)
def test_an_error_is_told_in_german_and_the_next_file_goes_in(
    browser, server, locale, tmp_path, fault, message, failing
):
    with opened_page(browser, server, 1280, "light", locale, failing) as page:
        page.route("**/queue/join*", fault, times=1)
        drop(page, write_wav(tmp_path / "Vokale.wav", syllables(1)))
        toast = page.get_by_test_id("toast-body")
        expect(toast).to_contain_text(message, timeout=RESULT_TIMEOUT_MS)
        expect(toast).to_contain_text("Fehler")
        assert not leftovers(page)
        drop(page, write_wav(tmp_path / "Vokal.wav", syllables(1)))
        expect(page.locator("#answer .facts")).to_contain_text("Vokal.wav", timeout=RESULT_TIMEOUT_MS)
