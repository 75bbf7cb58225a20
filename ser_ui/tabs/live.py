"""The tab "Live": the emotion of a voice while it speaks.

The scripts in assets/live/ capture the microphone, talk to the WebSocket of `live_socket` and draw. This
module gives them their template, live.html, and the model's emotions.
"""

from dataclasses import asdict

from ser_core.emotions import BY_NAME, UNKNOWN_COLOR
from ser_ui.layout import html, script
from ser_ui.model_cache import ModelCache
from ser_ui.theme import ASSETS

NAME = "live"
SOURCES = ASSETS / "live"
SCRIPTS = (  # in this order, one scope
    *("shared/words", "shared/canvas", "shared/files", "shared/voices"),
    *("live/capture", "live/connection", "live/spectrum", "live/drawing", "live/panels", "live/session"),
)
MAX_SOUND_S = 600.0  # audio that a page keeps in memory: 58 MB at 48 kHz


def build(cache: ModelCache) -> None:
    """The tab's content, for the classes and the threshold of the server's own model."""
    bundle = cache.own.bundle
    html(
        html_template=(SOURCES / "live.html").read_text(encoding="utf-8"),
        elem_id="live",
        js_on_load=script(*SCRIPTS),
        emotions=[asdict(BY_NAME[label]) for label in bundle.labels],
        unknown_color=UNKNOWN_COLOR,
        threshold=bundle.threshold,
        model={"name": bundle.name, "version": bundle.version},
        kept_s=MAX_SOUND_S,
    )
