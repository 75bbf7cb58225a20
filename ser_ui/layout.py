"""What every tab is laid out with."""

import re
from typing import Any

import gradio as gr

from ser_ui.theme import ASSETS

ANNOUNCE = "element.setAttribute('aria-live', 'polite');"  # as js_on_load: screen readers read what changes
INCLUDED = re.compile(r" *<!-- (\S+)\.html -->\n")  # where a template has another one in it


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML styled by our sheets alone."""
    return gr.HTML(value, apply_default_css=False, **options)


def script(*names: str) -> str:
    """Scripts in assets/, named without `.js`, as one function for js_on_load, so that nothing is global."""
    sources = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return "\n".join(['"use strict";', *sources])


def template(name: str) -> str:
    """The markup in assets/, named without `.html`, with that of the templates it includes."""
    markup = (ASSETS / f"{name}.html").read_text(encoding="utf-8")
    return INCLUDED.sub(lambda included: template(included[1]), markup)
