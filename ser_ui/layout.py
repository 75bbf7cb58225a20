"""Helpers that every tab builds its components with."""

import re
from typing import Any

import gradio as gr
from gradio.events import Dependency

from ser_ui.theme import ASSETS

ANNOUNCE = "element.setAttribute('aria-live', 'polite');"  # for js_on_load: screen readers announce changes
INCLUDE = re.compile(r" *<!-- (\S+)\.html -->\n")  # a template's reference to another one


def html(value: str = "", **options: Any) -> gr.HTML:
    """A `gr.HTML` that is styled by the page's own style sheets alone."""
    return gr.HTML(value, apply_default_css=False, **options)


def empty_on_failure(event: Dependency, source: gr.components.Component) -> None:
    """Empties the input `source` when `event` fails, so that it accepts the next file."""
    event.failure(None, None, source, js="() => null", api_visibility="private")


def script(*names: str) -> str:
    """Scripts of assets/, named without `.js`, as one function body for js_on_load: no names are global."""
    sources = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return "\n".join(['"use strict";', *sources])


def template(name: str) -> str:
    """The markup of assets/`name`.html, with the templates that it includes."""
    markup = (ASSETS / f"{name}.html").read_text(encoding="utf-8")
    return INCLUDE.sub(lambda match: template(match[1]), markup)
