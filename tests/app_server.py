"""Runs the real `app.py` in a process of its own, on a free port of 127.0.0.1."""

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
    """The address of the app in `root` with `model`; its uploads lie in `folder`/uploads."""
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
    """As `app_server`: the app's address, its process, and its output lines so far, a list that grows."""
    port = free_port()
    process = start(port, model, folder, root, environment, python)
    log = []
    try:
        for line in process.stdout:
            log.append(line)
            if "SER Studio is at" in line:
                break
        else:
            pytest.fail("app.py ended before the page was there:\n" + "".join(log))
        # A full pipe would block the app.
        reader = threading.Thread(target=lambda: log.extend(process.stdout), daemon=True)
        reader.start()
        yield f"http://127.0.0.1:{port}", process, log
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port() -> int:
    """A free port of 127.0.0.1."""
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
    """Starts the app and returns its process at once; see `app_process`."""
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
