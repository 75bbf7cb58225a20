"""SIGTERM during work: accepted work is completed and delivered, other clients are informed."""

import json
import signal
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from app_server import app_process
from live_server import PATIENCE_S, Client
from support import SAMPLE_RATE, syllables, write_wav

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
SPEECH = syllables(2)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_work_under_way_is_finished_and_nothing_stays_behind(model, tmp_path):
    """An analysis and a live session are under way; afterwards no process and no file is left."""
    speech = write_wav(tmp_path / "long.wav", np.tile(SPEECH, 5))
    with app_process(model, tmp_path) as (server, process, log):
        with speech.open("rb") as file:
            path = httpx.post(f"{server}/gradio_api/upload", files={"files": file}).json()[0]
        with Client(server.replace("http", "ws") + "/live") as live:
            live.start()
            live.speak(np.round(SPEECH * 32767).astype(np.int16))
            calls = f"{server}/gradio_api/call/analyze"
            sound = {"path": path, "meta": {"_type": "gradio.FileData"}}
            event = httpx.post(calls, json={"data": [sound, "", "auto", "auto"]}).json()["event_id"]
            process.send_signal(signal.SIGTERM)
            text = httpx.get(f"{calls}/{event}", timeout=PATIENCE_S).text
            last, code = live.end()
        assert process.wait(PATIENCE_S) == 0
    (result,) = json.loads(text.split("event: complete\ndata: ")[1])
    assert result["error"] is None
    assert result["duration"] == pytest.approx(5 * len(SPEECH) / SAMPLE_RATE, abs=0.01)
    assert (last["code"], code) == ("closed", 1012)
    assert not files_in(tmp_path / "uploads")
    assert not [line for line in log if "Traceback" in line]
