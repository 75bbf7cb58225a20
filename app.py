"""SER Studio's page, here and on a Hugging Face Space: `python app.py [--model NAME]`.

Address and port come from GRADIO_SERVER_NAME (127.0.0.1) and GRADIO_SERVER_PORT (7860).
"""

import argparse
import logging
import time

import gradio as gr
import matplotlib
import numpy as np
from fastapi import FastAPI

from ser_core import overview
from ser_core.audio import SAMPLE_RATE, Waveform
from ser_core.bundle import CHECKPOINTS, DEFAULT, BundleError
from ser_core.live_engine import LiveEngine
from ser_core.recognizer import Recognizer
from ser_ui import about_tab, api, live_socket, page, theme

QUEUE_SIZE = 20  # recordings waiting; the next visitor is told that the page is busy
SESSIONS = 200  # visitors whose last result is remembered
log = logging.getLogger("app")


def main() -> None:
    """Load the model, launch the page, and only then make the first analysis quick."""
    arguments = argparse.ArgumentParser(description="Recognise emotion in speech, in a browser.")
    arguments.add_argument("--model", default=DEFAULT, help="a name in checkpoints/ or a checkpoint's folder")
    name = arguments.parse_args().model
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    # Figures reach the page as SVG: their text stays text, in the page's own font.
    matplotlib.rcParams["svg.fonttype"] = "none"

    recognizer, trouble = None, ""
    try:
        recognizer = Recognizer.load(name)
    except BundleError as error:
        trouble = error.message
        log.error("the page has no model: %s", trouble)
    blocks = page.build(recognizer, trouble)
    app = launch(blocks)
    api.add_health(app, recognizer)
    if recognizer:
        live_socket.add_route(app, LiveEngine(recognizer))
        warm_up(recognizer)
    blocks.block_thread()


def launch(blocks: gr.Blocks) -> FastAPI:
    """Serve the page, offline and with nothing reported to anyone; returns the server's routes."""
    blocks.queue(max_size=QUEUE_SIZE)
    app, address, _ = blocks.launch(
        prevent_thread_lock=True,
        theme=theme.theme(),
        i18n=about_tab.LANGUAGES,
        css_paths=theme.STYLES,
        max_file_size="200mb",  # an hour at 22 kHz, or compressed; the decoder sets the real limit
        blocked_paths=[str(CHECKPOINTS)],
        state_session_capacity=SESSIONS,
        footer_links=[],
        mcp_server=True,
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        quiet=True,
    )
    api.keep_one_tool(blocks)
    log.info("SER Studio is at %s", address)
    return app


def warm_up(recognizer: Recognizer) -> None:
    """Run model and spectrogram once on noise: their first run imports and compiles for seconds."""
    started = time.monotonic()
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    recognizer.probabilities([noise])
    overview.log_mel(Waveform(noise))
    log.info("warmed up in %.1f s", time.monotonic() - started)


if __name__ == "__main__":
    main()
