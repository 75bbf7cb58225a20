"""The repository as it is pushed, started as a Hugging Face Space starts it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from app_server import ROOT, app_server
from gradio_client import Client, handle_file
from packaging.requirements import Requirement
from support import random_bundle, syllables, write_wav

from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT
from ser_ui.server.limits import BURST

SPACE = {"SYSTEM": "spaces", "SPACE_ID": "someone/ser-studio", "GRADIO_SERVER_NAME": "0.0.0.0"}

CLEAN = os.environ.get("SER_CLEAN_VENV")  # "1" for this Python, or the path of another
SHOWN = {"assets/examples/slow.ogg": 200, "assets/examples/../style.css": 403, "README.md": 403}
# What is seen of a Space that works.
WELL = {
    "title": True,
    "error": None,
    "heard": True,
    "tools": ["ser_studio_analyze_speech_emotion"],
    "served": SHOWN,
    "slowed_down": True,  # by the address that the proxy adds, not by what a visitor says
    "changed": set(),  # of what was pushed
    "left": set(),  # in the home folder
}


def files(folder: Path) -> dict[str, int]:
    """Every file under `folder`, with the time in ns at which it was changed."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def pushed(tmp_path) -> Path:
    """What a push carries, in a folder of its own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs the repository's history")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (tmp_path / "pushed" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "pushed" / name)
    return tmp_path / "pushed"


def seen_of_a_space(pushed: Path, tmp_path: Path, python: str) -> dict:
    """What the pushed files, started with a Space's variables, say to a recording, and what they write."""
    shipped = (CHECKPOINTS / DEFAULT / "bundle.json").is_file()
    model = DEFAULT if shipped else str(random_bundle(tmp_path / "random"))
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    before = files(pushed)
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "OMP_NUM_THREADS", "LANG")}
    environment = {
        **(kept | SPACE),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    speech = write_wav(tmp_path / "a.wav", syllables(2))
    with app_server(model, temporary, pushed, environment, python) as address:
        title = "SER Studio" in httpx.get(address).text
        found = Client(address, verbose=False).predict(audio=handle_file(speech), api_name="/analyze")
        tools = [tool["name"] for tool in httpx.get(f"{address}/gradio_api/mcp/schema").json()]
        forged = {"X-Forwarded-For": "127.0.0.1, 203.0.113.7"}
        with httpx.Client(base_url=address, headers=forged) as client:
            statuses = (client.post("/gradio_api/call/x").status_code for _ in range(10 * BURST))
            slowed_down = 429 in statuses
        served = {path: httpx.get(f"{address}/gradio_api/file={pushed / path}").status_code for path in SHOWN}
    once = ".cache/matplotlib/fontlist"  # made once a machine
    return {
        "title": title,
        "error": found["error"],
        "heard": bool(found["segments"]),
        "tools": tools,
        "served": served,
        "slowed_down": slowed_down,
        "changed": {name for name, _ in files(pushed).items() ^ before.items()},
        "left": {name for name in files(home) if not name.startswith(once)},
    }


def test_a_space_answers_and_writes_nothing_but_temporary_files(pushed, tmp_path):
    assert seen_of_a_space(pushed, tmp_path, sys.executable) == WELL


@pytest.mark.skipif(not CLEAN, reason="installs for minutes: SER_CLEAN_VENV=1, or another Python's path")
@pytest.mark.timeout(3600)
def test_a_space_needs_nothing_but_its_requirements(pushed, tmp_path):
    python = str(tmp_path / "venv" / "bin" / "python")
    base = sys.executable if CLEAN == "1" else CLEAN
    subprocess.run([base, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", pushed / "requirements.txt"], check=True)
    assert seen_of_a_space(pushed, tmp_path, python) == WELL


def test_the_front_matter_fits_the_requirements():
    front = re.match(r"---\n(.*?)\n---\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    told = dict(re.findall(r"^(\w+): *\"?([^\"\n]*)", front, re.MULTILINE))
    assert told["sdk"] == "gradio"
    assert (ROOT / told["app_file"]).is_file()
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = {
        r.name: r for r in (Requirement(line.partition("#")[0]) for line in lines if line[:1] not in "#")
    }
    assert told["sdk_version"] in needed["gradio"].specifier
    assert told["python_version"] in ("3.11", "3.12")
    assert all(f"2.{minor}.0" in needed["torch"].specifier for minor in range(10, 14))
    assert len(told["short_description"]) <= 60  # the Hub refuses longer ones
