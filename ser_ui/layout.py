"""What every tab is laid out with."""

import re
from typing import Any

import gradio as gr
from gradio.events import Dependency

from ser_ui.theme import ASSETS

ANNOUNCE = "element.setAttribute('aria-live', 'polite');"  # as js_on_load: screen readers read what changes
INCLUDED = re.compile(r" *<!-- (\S+)\.html -->\n")  # where a template has another one in it


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML styled by our sheets alone."""
    return gr.HTML(value, apply_default_css=False, **options)


def empty_on_failure(event: Dependency, source: gr.components.Component) -> None:
    """Where `event` was refused, the page empties its `source`, so that the next file goes in."""
    event.failure(None, None, source, js="() => null", api_visibility="private")


def script(*names: str) -> str:
    """Scripts in assets/, named without `.js`, as one function for js_on_load, so that nothing is global."""
    sources = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return "\n".join(['"use strict";', *sources])


def template(name: str) -> str:
    """The markup in assets/, named without `.html`, with that of the templates it includes."""
    markup = (ASSETS / f"{name}.html").read_text(encoding="utf-8")
    return INCLUDED.sub(lambda included: template(included[1]), markup)
