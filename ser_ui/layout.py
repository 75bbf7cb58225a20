"""What every tab is laid out with."""

from typing import Any

import gradio as gr

from ser_ui.theme import ASSETS

ANNOUNCE = "element.setAttribute('aria-live', 'polite');"  # as js_on_load: screen readers read what changes


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML styled by our sheets alone."""
    return gr.HTML(value, apply_default_css=False, **options)


def script(*names: str) -> str:
    """Scripts in assets/, named without `.js`, as one function for js_on_load, so that nothing is global."""
    sources = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return "\n".join(['"use strict";', *sources])
