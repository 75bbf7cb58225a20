"""The tab "Live": the emotion of a voice while it speaks.

The page does the work: the scripts in assets/live/ capture the microphone, talk to the WebSocket of
`live_socket` and draw. Here is what they begin with: live.html and the model's emotions.
"""

from dataclasses import asdict

from ser_core.emotions import BY_NAME, UNKNOWN_COLOR
from ser_ui.layout import html, script
from ser_ui.shelf import Shelf
from ser_ui.theme import ASSETS

NAME = "live"
SOURCES = ASSETS / "live"
SCRIPTS = (  # in this order, one scope
    *("shared/words", "shared/canvas", "shared/files"),
    *("live/capture", "live/connection", "live/spectrum", "live/drawing", "live/panels", "live/session"),
)
KEPT_S = 600.0  # sound that a page keeps: 58 MB at 48 kHz


def build(shelf: Shelf) -> None:
    """The tab's content, for the classes and the threshold of the server's own model."""
    bundle = shelf.own.bundle
    html(
        html_template=(SOURCES / "live.html").read_text(encoding="utf-8"),
        elem_id="live",
        js_on_load=script(*SCRIPTS),
        emotions=[asdict(BY_NAME[label]) for label in bundle.labels],
        unknown_color=UNKNOWN_COLOR,
        threshold=bundle.threshold,
        model={"name": bundle.name, "version": bundle.version},
        kept_s=KEPT_S,
    )
