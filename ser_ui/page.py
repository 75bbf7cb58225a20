"""The page: title, tabs and notes.

A tab is a module of `ser_ui.tabs` with a `NAME` and a `build(cache)` that creates its components. To add one,
write that module and list it in `TABS`. Its phrases go to assets/words/, its title under the key "tab.NAME",
its style sheet to assets/ (`theme.STYLES`).
"""

import gradio as gr

from ser_core.recognition.recognizer import Recognizer
from ser_ui import text, words
from ser_ui.layout import html, script, template
from ser_ui.model_cache import ModelCache
from ser_ui.server import api, on_device, uploads
from ser_ui.tabs import about, compare, files, live, models, recording

# In the order in which they are shown.
TABS = (recording, files, live, compare, models, about)


def build(recognizer: Recognizer | None, problem: str = "") -> gr.Blocks:
    """The page for `recognizer`. Without one it shows `problem`, the reason, and accepts no recording.

    The page's `translations` must be passed on to its `launch`.
    """
    cache = ModelCache(recognizer) if recognizer else None
    with uploads.Blocks(title="SER Studio", analytics_enabled=False) as page:
        html(words.key("page.header"), js_on_load=script("shared/words", "shared/gradio"))
        if on_device.is_built():
            html(
                html_template=template("device/device"),
                elem_id="device",
                js_on_load=script("shared/words", "device/device"),
                path=on_device.PATH,
            )
        if cache is None:
            html(words.key("page.not_ready"))
        else:
            with gr.Tabs(elem_id="tabs"):
                for tab in TABS:
                    title = words.key(f"tab.{tab.NAME}")
                    with gr.Tab(title, id=tab.NAME, elem_id=f"{tab.NAME}-tab"):  # button: #NAME-tab-button
                        tab.build(cache)
            api.add_endpoints(cache)
        html(words.key("page.notes"))
    page.translations = translations(cache, problem)
    return page


def translations(cache: ModelCache | None, problem: str) -> gr.I18n:
    """Every phrase that the page starts with, in each language."""
    texts = {}
    for language, phrases in words.PHRASES.items():
        texts[language] = {
            "page.header": text.header(phrases),
            "page.notes": text.notes(phrases),
            "page.welcome": text.welcome(phrases),
            "page.not_ready": text.not_ready(problem, phrases),
            "page.about": about.content(phrases),
            "page.compare": compare.content(cache, phrases) if cache else "",
            "page.models": models.content(cache, phrases) if cache else "",
        }
    return words.translations(texts)
