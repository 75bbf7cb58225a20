"""The static page, as tests see it: its browser, selectors of its states, and its result."""

from pathlib import Path
from typing import Any

READY = "body[data-state=ready]"
ANSWER = "#answer[data-state=done], #answer[data-state=problem]"
LOADING_MS = 60_000
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking")


def answer(page: Any, path: Any) -> None:
    """Gives the page a file, and waits for what it says of it."""
    page.evaluate("document.querySelector('#answer').dataset.state = 'asked'")
    page.set_input_files("#drop input", path)
    page.wait_for_selector(ANSWER)


def analysis(page: Any) -> Any:
    """The analysis that the page shows, as its JSON has it."""
    return page.evaluate(f"import('{page.url}page/page.js').then((page) => page.analysis())")
