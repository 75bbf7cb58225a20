"""Every tab at every width and in both themes: checked by axe-core, with a screenshot."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser.conftest import opened
from browser.steps import choose, drop, faults, overflow, wait_for_figures
from playwright.sync_api import Page, expect
from support import SAMPLE_RATE, syllables, write_wav

TABS = ("Recording", "Files", "Live", "Compare", "Models", "About")
WIDTHS = (400, 1280, 2560)
SCHEMES = ("light", "dark")
DONE_MS = 60_000


@pytest.fixture(scope="module")
def empty(browser, server) -> Iterator[Page]:
    """The page of a new visitor."""
    with opened(browser, server, WIDTHS[1], SCHEMES[0]) as page:
        yield page


@pytest.fixture(scope="module")
def full(browser, server, three_clips, tmp_path_factory) -> Iterator[Page]:
    """The page with a recording, several files, a live session and a comparison."""
    folder = tmp_path_factory.mktemp("files")
    with opened(browser, server, WIDTHS[1], SCHEMES[0]) as page:
        drop(page, three_clips)
        wait_for_figures(page)
        page.locator("#segments input").nth(1).check()
        choose(page, "Files")
        page.locator("#drop-files input[type=file]").set_input_files(several(folder))
        expect(page.locator("#files")).to_contain_text("4 of 4 files done", timeout=DONE_MS)
        choose(page, "Live")
        page.locator("#live").get_by_role("button", name="Start", exact=True).click()
        expect(page.locator("#live tbody tr")).not_to_have_count(0, timeout=DONE_MS)
        page.locator("#live").get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#live .facts")).to_contain_text("received", timeout=DONE_MS)
        choose(page, "Compare")
        page.locator("#drop-compared input[type=file]").set_input_files(three_clips)
        expect(page.locator("#agreement h2")).to_contain_text("agree on", timeout=DONE_MS)
        page.locator("#comparison input[type=radio]").nth(1).check()
        yield page


def several(folder: Path) -> list[Path]:
    """Three recordings, one of them silent, and a text file named .wav."""
    (folder / "no recording.wav").write_text("no recording " * 50)
    return [
        write_wav(folder / "a long one.wav", syllables(4)),
        write_wav(folder / "a short one.wav", syllables(1)),
        write_wav(folder / "silence.wav", np.zeros(3 * SAMPLE_RATE, np.float32)),
        folder / "no recording.wav",
    ]


def faults_of(page: Page, tab: str, width: int, scheme: str, picture: Path) -> list[str]:
    """The faults of a tab at a width in a theme; saves a screenshot."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(f"document.body.classList.contains('dark') === {str(scheme == 'dark').lower()}")
    choose(page, tab)
    expect(page.locator(f"#{tab.lower()}-tab")).to_be_visible()
    page.screenshot(path=picture, full_page=True)
    return faults(page) + overflow(page)


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
@pytest.mark.parametrize("tab", TABS[:4])
def test_an_empty_tab_can_be_used_by_everybody(empty, tab, width, scheme, artefacts):
    assert not faults_of(empty, tab, width, scheme, artefacts / f"empty-{tab.lower()}-{scheme}-{width}.png")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tab", TABS)
def test_a_tab_can_be_used_by_everybody(full, tab, width, scheme, artefacts):
    assert not faults_of(full, tab, width, scheme, artefacts / f"{tab.lower()}-{scheme}-{width}.png")
