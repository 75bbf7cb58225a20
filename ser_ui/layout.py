"""What every tab is laid out with."""

from typing import Any

import gradio as gr

ANNOUNCE = "element.setAttribute('aria-live', 'polite');"  # as js_on_load: screen readers read what changes


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML styled by our sheets alone."""
    return gr.HTML(value, apply_default_css=False, **options)
