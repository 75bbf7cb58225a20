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
STATUS_BY_PATH = {"assets/examples/woman.ogg": 200, "assets/examples/../style.css": 403, "README.md": 403}
# The observations of a Space that works.
EXPECTED = {
    "title": True,
    "error": None,
    "heard": True,
    "tools": ["ser_studio_analyze_speech_emotion"],
    "served": STATUS_BY_PATH,
    "slowed_down": True,  # by the address that the proxy adds, not by one that a visitor forges
    "changed": set(),  # pushed files
    "left": set(),  # files in the home folder
}


def files(folder: Path) -> dict[str, int]:
    """Every file under `folder`, with its modification time in ns."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def pushed(tmp_path) -> Path:
    """The files that a push contains, in a folder of their own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs the repository's history")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (tmp_path / "pushed" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "pushed" / name)
    return tmp_path / "pushed"


def observe_space(pushed: Path, tmp_path: Path, python: str) -> dict:
    """Starts the pushed files as a Space does; observes its responses and the files it writes."""
    shipped = (CHECKPOINTS / DEFAULT / "bundle.json").is_file()
    model = DEFAULT if shipped else str(random_bundle(tmp_path / "random"))
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    before = files(pushed)
    inherited = {
        key: value for key, value in os.environ.items() if key in ("PATH", "OMP_NUM_THREADS", "LANG")
    }
    environment = {
        **(inherited | SPACE),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    speech = write_wav(tmp_path / "a.wav", syllables(2))
    with app_server(model, temporary, pushed, environment, python) as address:
        title = "SER Studio" in httpx.get(address).text
        analysis = Client(address, verbose=False).predict(audio=handle_file(speech), api_name="/analyze")
        tools = [tool["name"] for tool in httpx.get(f"{address}/gradio_api/mcp/schema").json()]
        forged = {"X-Forwarded-For": "127.0.0.1, 203.0.113.7"}
        with httpx.Client(base_url=address, headers=forged) as client:
            statuses = (client.post("/gradio_api/call/x").status_code for _ in range(10 * BURST))
            slowed_down = 429 in statuses
        served = {
            name: httpx.get(f"{address}/gradio_api/file={pushed / name}").status_code
            for name in STATUS_BY_PATH
        }
    font_cache = ".cache/matplotlib/fontlist"  # written once per machine
    return {
        "title": title,
        "error": analysis["error"],
        "heard": bool(analysis["segments"]),
        "tools": tools,
        "served": served,
        "slowed_down": slowed_down,
        "changed": {name for name, _ in files(pushed).items() ^ before.items()},
        "left": {name for name in files(home) if not name.startswith(font_cache)},
    }


def test_a_space_answers_and_writes_nothing_but_temporary_files(pushed, tmp_path):
    assert observe_space(pushed, tmp_path, sys.executable) == EXPECTED


@pytest.mark.skipif(not CLEAN, reason="installs for minutes: SER_CLEAN_VENV=1, or another Python's path")
@pytest.mark.timeout(3600)
def test_a_space_needs_nothing_but_its_requirements(pushed, tmp_path):
    python = str(tmp_path / "venv" / "bin" / "python")
    base = sys.executable if CLEAN == "1" else CLEAN
    subprocess.run([base, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", pushed / "requirements.txt"], check=True)
    assert observe_space(pushed, tmp_path, python) == EXPECTED


def test_the_front_matter_fits_the_requirements():
    front_matter = re.match(
        r"---\n(.*?)\n---\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )[1]
    fields = dict(re.findall(r"^(\w+): *\"?([^\"\n]*)", front_matter, re.MULTILINE))
    assert fields["sdk"] == "gradio"
    assert (ROOT / fields["app_file"]).is_file()
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = {
        r.name: r for r in (Requirement(line.partition("#")[0]) for line in lines if line[:1] not in "#")
    }
    assert fields["sdk_version"] in needed["gradio"].specifier
    assert fields["python_version"] in ("3.11", "3.12")
    assert all(f"2.{minor}.0" in needed["torch"].specifier for minor in range(10, 14))
    assert len(fields["short_description"]) <= 60  # the Hub refuses longer ones
