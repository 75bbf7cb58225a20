"""The tab "About": what a score means, what the law asks, privacy, how to cite; in the browser's language.

The words are in assets/about/, one file a language.
"""

import gradio as gr

import ser_core
from ser_ui.layout import html
from ser_ui.shelf import Shelf
from ser_ui.theme import ASSETS

TITLE = "About"
WORDS = {path.stem: path for path in sorted((ASSETS / "about").glob("*.html"))}  # by language, ISO 639-1
LANGUAGES = gr.I18n(
    **{
        language: {"about": path.read_text(encoding="utf-8").format(version=ser_core.__version__)}
        for language, path in WORDS.items()
    }
)


def build(shelf: Shelf) -> None:
    """The tab's content, the same whatever the model."""
    html(LANGUAGES("about"), elem_id="about")
