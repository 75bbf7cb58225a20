"""The app for benchmarks: `python app.py` in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import free_port, running_process


@contextmanager
def running_app(model: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and process of a new app, warmed up, whose uploads lie in `folder`."""
    port = str(free_port())
    environment = os.environ | {"GRADIO_SERVER_PORT": port, "GRADIO_TEMP_DIR": str(folder / "uploads")}
    with running_process([sys.executable, "app.py", "--model", model], "warmed up", environment) as process:
        yield f"http://127.0.0.1:{port}", process
