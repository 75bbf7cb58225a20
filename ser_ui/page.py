"""The page: its title, its tabs, and what the answers mean.

A tab is a module of this package with a `TITLE` and a `build(shelf)` that lays out its content. To add
one, write that module and name it in `TABS`; a style sheet of its own goes to assets/ (`theme.STYLES`).
"""

import gradio as gr

from ser_core.recognizer import Recognizer
from ser_ui import about_tab, api, compare_tab, files_tab, live_tab, models_tab, recording_tab, text, uploads
from ser_ui.layout import html
from ser_ui.shelf import Shelf

# In the order in which the page shows them.
TABS = (recording_tab, files_tab, live_tab, compare_tab, models_tab, about_tab)


def build(recognizer: Recognizer | None, trouble: str = "") -> gr.Blocks:
    """The page around `recognizer`; without one it says what `trouble` there is and takes no recording."""
    with uploads.Blocks(title="SER Studio", analytics_enabled=False) as page:
        html(text.header())
        if recognizer is None:
            html(text.not_ready(trouble))
        else:
            shelf = Shelf(recognizer)
            with gr.Tabs(elem_id="tabs"):
                for tab in TABS:
                    name = tab.TITLE.lower()
                    with gr.Tab(tab.TITLE, id=name, elem_id=f"{name}-tab"):  # its button: #NAME-tab-button
                        tab.build(shelf)
            api.add_endpoints(shelf)
        html(text.NOTES)
    return page
