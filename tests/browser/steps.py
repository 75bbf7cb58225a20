"""Steps that several tests of the page share."""

import base64
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, TimeoutError, expect

from ser_ui.words import PHRASES

PRESS_MS = 3000  # timeout after which a tab is pressed again
# The number of colours in the lanes of the waveform and the spectrogram.
LANES = """() => {
    const canvas = document.querySelector('#timeline canvas[data-part=picture]');
    const dots = canvas.width / canvas.clientWidth;
    const colours = (top, height) => {
        const { data } = canvas.getContext('2d').getImageData(0, top * dots, canvas.width, height * dots);
        return new Set(new Uint32Array(data.buffer)).size;
    };
    return { wave: colours(32, 84), mel: colours(260, 90) };
}"""

# Texts that overflow their button or cell, a clipping element, or the window.
CUT = """() => {
    const cut = new Set();
    const page = document.querySelector(".gradio-container");
    const texts = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
    const over = ({ left, right }, inner) => inner.left < left - 1 || inner.right > right + 1;
    while (texts.nextNode()) {
        const text = texts.currentNode;
        if (!text.data.trim() || !text.parentElement.checkVisibility()) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const lines = [...range.getClientRects()];
        for (let box = text.parentElement; box; box = box.parentElement) {
            const { overflowX } = getComputedStyle(box);
            const frame = box.getBoundingClientRect();
            if (["auto", "scroll"].includes(overflowX)) break; // it can be scrolled to
            if (frame.width <= 1) break; // it is only read aloud
            const holds = ["BUTTON", "TD", "TH", "HTML"].includes(box.tagName) || overflowX !== "visible";
            if (holds && lines.some((line) => over(frame, line))) cut.add(text.data.trim());
        }
    }
    return [...cut];
}"""


def drop(page: Page, path: Path) -> None:
    """Drops a file on the drop area, as with a mouse."""
    transfer = page.evaluate_handle(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    page.locator("#drop button").dispatch_event("drop", {"dataTransfer": transfer})


def choose(page: Page, tab: str) -> None:
    """Opens a tab; presses again if Gradio was just rearranging the tab bar for another width."""
    panel = page.locator(f"#{tab.lower()}-tab")
    for _ in range(9):
        try:
            _press(page, tab.lower())
            expect(panel).to_be_visible(timeout=PRESS_MS)
            return
        except (AssertionError, TimeoutError):
            continue
    expect(panel).to_be_visible()


def _press(page: Page, name: str) -> None:
    """Presses a tab's button, in the overflow menu where the window is narrow."""
    button = page.locator(f"#{name}-tab-button")
    if not button.is_visible():
        page.locator(".overflow-menu > button").click(timeout=PRESS_MS)
        title = PHRASES[page.evaluate("document.documentElement.lang")](f"tab.{name}")
        button = page.locator(".overflow-dropdown button", has_text=title)
    button.click(timeout=PRESS_MS)


def wait_for_figures(page: Page) -> None:
    """Waits until the probabilities are shown and the lanes are drawn with the spectrogram."""
    expect(page.locator("#probabilities")).to_contain_text("Whole recording", timeout=60_000)
    page.wait_for_function(f"({LANES})().mel > 100", timeout=60_000)


def overflow(page: Page) -> list[str]:
    """Elements and texts that overflow."""
    page_px, window_px = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    over = [f"the page is {page_px} pixels wide in a window of {window_px}"] if page_px > window_px else []
    tables = "all => all.filter(box => box.scrollWidth > box.clientWidth).map(box => box.ariaLabel)"
    over += [f"the table {name}" for name in page.locator(".segments").evaluate_all(tables)]
    return over + page.evaluate(CUT)


def faults(page: Page) -> list[str]:
    """Serious and critical accessibility violations (WCAG 2.2 A and AA), with their elements."""
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
    violations = Axe().run(page, options=rules).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
