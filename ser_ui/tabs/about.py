"""The tab "About": what a score means, what the law asks, privacy, how to cite; in the browser's language.

The words are in assets/about/, one file a language.
"""

import ser_core
from ser_ui import words
from ser_ui.layout import html
from ser_ui.shelf import Shelf
from ser_ui.theme import ASSETS
from ser_ui.words import Phrases

NAME = "about"
SOURCES = ASSETS / "about"


def build(shelf: Shelf) -> None:
    """The tab's content, the same whatever the model."""
    html(words.key("page.about"), elem_id="about")


def content(phrases: Phrases) -> str:
    """What the tab says in one language."""
    source = (SOURCES / f"{phrases.language}.html").read_text(encoding="utf-8")
    return source.format(version=ser_core.__version__)
