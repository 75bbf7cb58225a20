"""The tab "About": meaning of a score, legal requirements, privacy, citation; in the visitor's language.

The texts are in assets/about/, one file per language.
"""

import ser_core
from ser_ui import words
from ser_ui.layout import html
from ser_ui.model_cache import ModelCache
from ser_ui.theme import ASSETS
from ser_ui.words import Phrases

NAME = "about"
SOURCES = ASSETS / "about"


def build(cache: ModelCache) -> None:
    """The tab's content; it does not depend on the model."""
    html(words.key("page.about"), elem_id="about")


def content(phrases: Phrases) -> str:
    """The tab's text in one language."""
    source = (SOURCES / f"{phrases.language}.html").read_text(encoding="utf-8")
    return source.format(version=ser_core.__version__)
