"""The app as its users have it, for benchmarks: `python app.py` in a process of its own."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def running_app(model: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and process of a fresh app, warmed up, whose uploads lie in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "uploads")}
    process = subprocess.Popen(
        [sys.executable, "app.py", "--model", model],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        if not any("warmed up" in line for line in process.stderr):
            raise RuntimeError("app.py ended before the page was there")
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the app
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(timeout=20)
