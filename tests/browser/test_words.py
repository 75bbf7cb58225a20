"""The tabs Models and About, read by a real Chromium, and the whole page by axe-core."""

import pytest
from browser.steps import faults
from playwright.sync_api import expect

SIZES = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]


def choose(page, title: str) -> None:
    """Opens a tab, out of the menu of those that a narrow window has no room for."""
    button = page.locator(f"#{title.lower()}-tab-button")
    if not button.is_visible():
        page.locator(".overflow-menu > button").click()
        button = page.locator(".overflow-dropdown button", has_text=title)
    button.click()


@pytest.mark.parametrize("tab", ["models", "about"])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}-{s[0]}", indirect=True)
def test_the_tab_can_be_read_by_everybody(page, size, tab, artefacts):
    width, scheme = size
    choose(page, tab.capitalize())
    expect(page.locator(f"#{tab} section").first).to_be_visible()
    page.screenshot(path=artefacts / f"{tab}-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not faults(page)


@pytest.mark.parametrize("tab", ["recording", "files", "live"])
@pytest.mark.parametrize("size", SIZES[:1] + SIZES[3:], ids=lambda s: f"{s[1]}-{s[0]}", indirect=True)
def test_a_tab_waits_for_everybody(page, size, tab):
    choose(page, tab.capitalize())
    expect(page.locator(f"#{tab}-tab")).to_be_visible()
    assert not faults(page)


@pytest.mark.parametrize("size", [(1280, "light")], ids=["light-1280"], indirect=True)
def test_a_model_is_told_with_results_and_confusions(page, size, trained):
    page.locator("#models-tab-button").click()
    model = page.locator("#models section").first
    expect(model).to_contain_text("million parameters")
    if trained:
        expect(model.locator(".results").first).to_contain_text("all test speakers")
        expect(model.locator(".confusion tbody tr")).to_have_count(8)


@pytest.mark.parametrize(
    ("language", "title"), [("de-DE", "Was ein Wert bedeutet"), ("fr-FR", "What a score means")]
)
def test_about_speaks_the_browsers_language_or_english(browser, server, language, title):
    context = browser.new_context(locale=language)
    page = context.new_page()
    page.goto(server)
    page.locator("#about-tab-button").click()
    expect(page.locator("#about h3").first).to_have_text(title)
    expect(page.locator("#about [lang]")).to_contain_text("MIT")
    context.close()
