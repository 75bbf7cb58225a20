"""The page: its title, its tabs, and what the answers mean.

A tab is a module of this package with a `NAME` and a `build(shelf)` that lays out its content. To add one,
write that module and name it in `TABS`; its words, with its title as "tab.NAME", go to assets/words/, a style
sheet of its own to assets/ (`theme.STYLES`).
"""

import gradio as gr

from ser_core.recognition.recognizer import Recognizer
from ser_ui import text, words
from ser_ui.layout import html, script
from ser_ui.server import api, uploads
from ser_ui.shelf import Shelf
from ser_ui.tabs import about, compare, files, live, models, recording

# In the order in which the page shows them.
TABS = (recording, files, live, compare, models, about)


def build(recognizer: Recognizer | None, trouble: str = "") -> gr.Blocks:
    """The page around `recognizer`; without one it says what `trouble` there is and takes no recording.

    It speaks the languages of `translations`, which are to be given to its `launch`.
    """
    shelf = Shelf(recognizer) if recognizer else None
    with uploads.Blocks(title="SER Studio", analytics_enabled=False) as page:
        html(words.key("page.header"), js_on_load=script("shared/words", "shared/gradio"))
        if shelf is None:
            html(words.key("page.not_ready"))
        else:
            with gr.Tabs(elem_id="tabs"):
                for tab in TABS:
                    title = words.key(f"tab.{tab.NAME}")
                    with gr.Tab(title, id=tab.NAME, elem_id=f"{tab.NAME}-tab"):  # button: #NAME-tab-button
                        tab.build(shelf)
            api.add_endpoints(shelf)
        html(words.key("page.notes"))
    page.translations = translations(shelf, trouble)
    return page


def translations(shelf: Shelf | None, trouble: str) -> gr.I18n:
    """Every word that the page begins with, in each language."""
    pages = {}
    for language, phrases in words.PHRASES.items():
        pages[language] = {
            "page.header": text.header(phrases),
            "page.notes": text.notes(phrases),
            "page.welcome": text.welcome(phrases),
            "page.not_ready": text.not_ready(trouble, phrases),
            "page.about": about.content(phrases),
            "page.compare": compare.content(shelf, phrases) if shelf else "",
            "page.models": models.content(shelf, phrases) if shelf else "",
        }
    return words.translations(pages)
