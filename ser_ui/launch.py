"""Starting and stopping the server: `main` is what `app.py` and `ser-studio page` run.

Address and port come from GRADIO_SERVER_NAME (127.0.0.1) and GRADIO_SERVER_PORT (7860).
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import matplotlib
import numpy as np
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from ser_core.audio.isolated import Decoder
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT, BundleError
from ser_core.pictures import overview
from ser_core.recognition.live_engine import LiveEngine
from ser_core.recognition.recognizer import Recognizer
from ser_ui import examples, page, theme
from ser_ui.server import api, heap, live_socket, on_device, storage, uploads, zero_gpu
from ser_ui.server.guard import Guard
from ser_ui.server.limits import MAX_FILE_BYTES, QUEUE_SIZE, SPACE_PROXIES, Limits

SESSIONS = 200  # visitors whose last result is remembered
GRACE_S = 8.0  # for what is under way when the server is told to stop; Docker kills it after 10
TIDY_S = 30.0  # every so often memory that is free is given back
LINGER_S = 0.5  # of quiet, after which nobody is taken to be on the way to fetch a result
log = logging.getLogger("app")


def main() -> NoReturn:
    """Serves the page until a signal ends it; the exit code is 1 where work had to be cut off."""
    arguments = argparse.ArgumentParser(description="Recognise emotion in speech, in a browser.")
    arguments.add_argument("--model", default=DEFAULT, help="a name in checkpoints/ or a checkpoint's folder")
    name = arguments.parse_args().model
    heap.share()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    # Figures reach the page as SVG: their text stays text, in the page's own font.
    matplotlib.rcParams["svg.fonttype"] = "none"

    if "SPACE_ID" in os.environ:
        os.environ.setdefault("FORWARDED_ALLOW_IPS", SPACE_PROXIES)
    # Gradio computes statistics anew after every event; nobody sees them.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with storage.private_folder(os.environ.get("GRADIO_TEMP_DIR")) as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        try:
            complete = serve(name)
        except KeyboardInterrupt:  # before the page was there, or once more
            complete = False
        except OSError as error:  # the port is in use, or the address is not of this machine
            log.error("the page cannot be served: %s", error)
            complete = False
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0 if complete else 1)  # work that was cut off, and idle threads of libraries, would keep it


def serve(name: str) -> bool:
    """Load the model, launch the page, and only then make the first analysis quick.

    Ends with a signal; returns whether all work under way was finished by then.
    """
    decoder, recognizer, trouble = Decoder(), None, ""
    try:
        recognizer = load(name, decoder)
    except BundleError as error:
        trouble = error.message
        log.error("the page has no model: %s", trouble)
    blocks = page.build(recognizer, trouble)
    engine = LiveEngine(recognizer) if recognizer else None
    routes = [api.health_route(recognizer), *on_device.routes()]
    routes += [live_socket.route(engine)] if engine else []
    app = launch(blocks, routes)
    try:
        if recognizer:
            decoder.prepare()
            warm_up(recognizer)
        while True:
            time.sleep(TIDY_S)
            heap.give_back()
    except KeyboardInterrupt:
        log.info("stopping: what is under way has %g s", GRACE_S)
    complete = finished(app.state.limits, GRACE_S)
    if engine:
        engine.close()  # tells those who still speak
    blocks.close(verbose=False)
    decoder.close()
    return complete


def load(name: str, decoder: Decoder) -> Recognizer:
    """The model, on the GPU where there is one; where one is lent, for recordings. Raises BundleError."""
    if not zero_gpu.is_here():
        return Recognizer.load(name, read=decoder.stream)
    own = Recognizer.load(name, "cpu", read=decoder.stream)
    return zero_gpu.ZeroGpuRecognizer(own, Recognizer.load(name))


def finished(limits: Limits, grace_s: float) -> bool:
    """Lets nothing new begin, and waits until all results are delivered; whether that was in time."""
    limits.closing = True
    end = time.monotonic() + grace_s
    quiet_since = time.monotonic()
    while time.monotonic() < end:
        if limits.busy:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= LINGER_S:
            return True
        time.sleep(0.02)
    return False


def launch(blocks: uploads.Blocks, routes: Sequence[BaseRoute] = ()) -> FastAPI:
    """Serve the page, offline and with nothing reported to anyone; returns the server's application.

    `routes` come before Gradio's own. They are there before the port is open: whoever can connect is served.
    The application's `state.limits` are what the server takes on.
    """
    blocks.queue(max_size=QUEUE_SIZE, api_open=False)
    limits = Limits(blocks._queue)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.limits = limits
        api.keep_one_tool(blocks)
        async with uploads.swept(blocks.storage):
            yield

    app, address, _ = blocks.launch(
        prevent_thread_lock=True,
        theme=theme.theme(),
        i18n=blocks.translations,
        css_paths=theme.STYLES,
        max_file_size=MAX_FILE_BYTES,
        blocked_paths=[str(CHECKPOINTS)],
        allowed_paths=[str(examples.FOLDER)],
        state_session_capacity=SESSIONS,
        footer_links=[],
        mcp_server=True,
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        quiet=True,
        app_kwargs={
            "middleware": [Middleware(Guard, limits=limits, storage=blocks.storage)],
            "routes": [uploads.route(blocks.storage), *routes],
            "lifespan": lifespan,
        },
    )
    log.info("SER Studio is at %s", address)
    return app


def warm_up(recognizer: Recognizer) -> None:
    """Run model and spectrogram once on noise: their first run imports and compiles for seconds."""
    started = time.monotonic()
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    recognizer.probabilities([noise])
    overview.log_mel(Waveform(noise))
    log.info("warmed up in %.1f s", time.monotonic() - started)
