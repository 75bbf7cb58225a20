"""The tabs Models and About, in a real Chromium."""

import pytest
from playwright.sync_api import expect


def test_a_model_is_told_with_results_and_confusions(page, trained):
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
