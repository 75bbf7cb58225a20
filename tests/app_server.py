"""The real `app.py` in a process of its own, on a free port of 127.0.0.1."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@contextmanager
def app_server(
    model: str,
    folder: Path,
    root: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
    python: str = sys.executable,
) -> Iterator[str]:
    """The address of the app in `root` with `model`; what it is given lies in `folder`/uploads."""
    with app_process(model, folder, root, environment, python) as (address, _, _):
        yield address


@contextmanager
def app_process(
    model: str,
    folder: Path,
    root: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
    python: str = sys.executable,
) -> Iterator[tuple[str, subprocess.Popen, list[str]]]:
    """As `app_server`: the app's address, its process, and the lines that it says, as they come."""
    port = free_port()
    process = start(port, model, folder, root, environment, python)
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if "SER Studio is at" in line:
                break
        else:
            pytest.fail("app.py ended before the page was there:\n" + "".join(said))
        # A full pipe would stop the app.
        reading = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reading.start()
        yield f"http://127.0.0.1:{port}", process, said
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(
    port: int,
    model: str,
    folder: Path,
    root: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
    python: str = sys.executable,
) -> subprocess.Popen:
    """The process of an app that begins to start; see `app_process`."""
    return subprocess.Popen(
        [python, "app.py", "--model", model],
        cwd=root,
        env={
            **environment,
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(folder / "uploads"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
