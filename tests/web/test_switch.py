"""The switch "on this device" of the Gradio page: the page of web/ from the server; nothing is uploaded."""

import pytest
from app_server import app_server
from static_page import ANSWER, LOADING_MS, READY
from support import ROOT

from ser_ui.server import on_device

FRAME = "#device iframe"


@pytest.fixture(scope="module")
def server(dist, tmp_path_factory):
    """The app with the static page beside it."""
    root = tmp_path_factory.mktemp("studio")
    (root / "app.py").write_bytes(
        (ROOT / "app.py").read_bytes()
    )  # a copy: the program's folder is that of app.py
    for room in ("ser_core", "ser_ui", "assets", "checkpoints"):
        (root / room).symlink_to(ROOT / room)
    (root / "web").mkdir()
    (root / "web" / "dist").symlink_to(dist)
    with app_server("small", tmp_path_factory.mktemp("server"), root) as address:
        yield address


def test_the_switch_hears_on_the_device_and_uploads_nothing(browser, server, ravdess_angry):
    context = browser.new_context(viewport={"width": 400, "height": 900}, color_scheme="dark")
    page = context.new_page()
    errors, sent = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.goto(server)
    switch = page.get_by_role("switch", name="On this device")
    switch.wait_for()
    assert "no sound and no result is sent" in page.inner_text("#device")
    switch.focus()
    page.keyboard.press("Space")
    frame = page.frame_locator(FRAME)
    frame.locator(READY).wait_for(timeout=LOADING_MS)
    assert not page.is_visible("#tabs")
    page.on("request", lambda request: sent.append((request.method, request.url)))
    frame.locator("#drop input").set_input_files(ravdess_angry)
    frame.locator(ANSWER).wait_for()
    assert frame.locator("#answer h2").inner_text().startswith("Angry")
    assert [one for one in sent if one[1].startswith("http")] == []
    assert "dark" in frame.locator("body").get_attribute("class")
    inner = page.query_selector(FRAME).content_frame()
    assert inner.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert inner.evaluate(
        "document.documentElement.scrollHeight <= innerHeight + 1"
    )  # one scroll bar: the page's
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    switch.focus()
    page.keyboard.press("Space")
    assert page.is_visible("#tabs")
    assert not page.is_visible(FRAME)
    assert errors == []
    context.close()


def test_without_the_built_page_there_is_no_route(monkeypatch, tmp_path):
    monkeypatch.setattr(on_device, "DIST", tmp_path)
    assert not on_device.is_built()
    assert on_device.routes() == []
