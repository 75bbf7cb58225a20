"""The real server while its decoders, its disk, its checkpoint or its network fail."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from app_server import ROOT, app_process
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio_client import Client, handle_file
from processes import children
from support import random_bundle, syllables, write_wav

from ser_core.checkpoint.bundle import BundleError
from ser_core.recognition.recognizer import Recognizer
from ser_ui import page
from ser_ui.server import api

# As sitecustomize.py, which Python imports at its start: every connection to another machine fails and is
# logged.
OFFLINE = """
import os, sys
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None)
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = arguments[1] if event == "socket.connect" else arguments[0]
        host = address[0] if isinstance(address, tuple) else address
        if host not in HERE and not os.path.isabs(str(host)):
            with open(os.environ["ATTEMPTS"], "a") as attempts:
                print(event, host, file=attempts)
            raise OSError(101, "Network is unreachable")
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def server(folder) -> Iterator[tuple[str, int]]:
    """The address and the process of an app that cannot reach any other machine."""
    (folder / "offline").mkdir()
    (folder / "offline" / "sitecustomize.py").write_text(OFFLINE)
    environment = os.environ | {
        "PYTHONPATH": str(folder / "offline"),
        "ATTEMPTS": str(folder / "attempts"),
    }
    model = str(random_bundle(folder / "model"))
    with app_process(model, folder, environment=environment) as (address, process, _):
        yield address, process.pid


@pytest.fixture(scope="module")
def speech(folder) -> Path:
    return write_wav(folder / "speech.wav", syllables(2))


@pytest.fixture(scope="module")
def healthy(server, speech) -> dict:
    """The analysis while nothing is broken."""
    result = analysis(server, speech)
    assert result["segments"]
    return result


def analysis(server: tuple[str, int], path: Path) -> dict:
    return Client(server[0], verbose=False).predict(audio=handle_file(path), api_name="/analyze")


def test_killed_decoders_are_replaced(server, speech, healthy):
    killed = children(server[1], "ser_core.audio.isolated")
    assert killed
    for decoder in killed:
        os.kill(decoder, signal.SIGKILL)
    codes = {(result["error"] or {}).get("code") for result in (analysis(server, speech) for _ in range(3))}
    assert codes <= {None, "decoder_crashed"}
    assert analysis(server, speech) == healthy


def test_a_full_disk_refuses_what_does_not_fit_and_nothing_else(server, speech, healthy, tmp_path):
    large = write_wav(tmp_path / "large.wav", np.zeros(60 * 16_000, np.float32))
    before = resource.prlimit(server[1], resource.RLIMIT_FSIZE)
    resource.prlimit(server[1], resource.RLIMIT_FSIZE, (speech.stat().st_size + 100_000, before[1]))
    try:
        with large.open("rb") as file:
            response = httpx.post(f"{server[0]}/gradio_api/upload", files={"files": file}, timeout=60)
        assert response.status_code >= 400
        assert "Traceback" not in response.text
        assert analysis(server, speech) == healthy
    finally:
        resource.prlimit(server[1], resource.RLIMIT_FSIZE, before)
    assert analysis(server, large)["summary"]["label"] == "no_speech"


def test_without_its_checkpoint_a_running_server_goes_on(server, speech, healthy, folder):
    shutil.move(folder / "model", folder / "elsewhere")
    try:
        assert analysis(server, speech) == healthy
        assert httpx.get(f"{server[0]}/health").status_code == 200
    finally:
        shutil.move(folder / "elsewhere", folder / "model")


def test_no_network_is_missed_and_none_is_asked_for(server, speech, healthy, folder):
    assert analysis(server, speech) == healthy
    assert not (folder / "attempts").exists(), (folder / "attempts").read_text()


def test_without_a_checkpoint_a_new_server_says_so(tmp_path):
    with pytest.raises(BundleError) as caught:
        Recognizer.load(tmp_path / "nowhere")
    languages = page.build(None, caught.value.message).translations.translations
    assert all("There is no checkpoint" in texts["page.not_ready"] for texts in languages.values())
    health = TestClient(FastAPI(routes=[api.health_route(None)])).get("/health")
    assert health.status_code == 503
    assert health.json()["ok"] is False


def test_a_full_disk_leaves_no_half_file_of_results(tmp_path, speech):
    model, out = random_bundle(tmp_path / "model"), tmp_path / "out.json"
    command = [sys.executable, "-m", "ser_core", "analyze", str(speech), "--model", str(model)]
    complete = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    assert json.loads(complete)
    limited = ["prlimit", f"--fsize={len(complete) // 2}", *command, "--out", str(out)]
    process = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode != 0
    assert "cannot be written" in process.stderr
    assert "Traceback" not in process.stderr
    assert not out.exists()
