"""The wheel: what is in it, and that it works from any folder with nothing but what it says it needs."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from app_server import free_port
from environments import dependencies_of, environment_with
from support import PATIENCE_S, ROOT, eventually, syllables, write_wav

from ser_core import __version__
from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT
from ser_core.export import WRITERS

PAGE = frozenset({"page"})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def install(wheel: Path, folder: Path, extras: frozenset[str] = frozenset()) -> Path:
    """A fresh environment with the wheel, and what its metadata ask for; the folder of its commands."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    python = environment_with(folder, re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE), extras)
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run(command, check=True, capture_output=True)
    return python.parent


@pytest.fixture(scope="module")
def base(wheel, tmp_path_factory) -> Path:
    """The commands of an environment without extras."""
    return install(wheel, tmp_path_factory.mktemp("base") / "venv")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A folder with one recording, in which commands run; nothing of the checkout is on their way."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "clip.wav", syllables(2))
    return tmp_path


def output(*command: object) -> str:
    """What a command prints on stdout; it must succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_checkpoints_the_words_and_the_page_and_nothing_of_a_checkout(wheel):
    names = ZipFile(wheel).namelist()
    for path in [
        *CHECKPOINTS.rglob("*.safetensors"),
        *CHECKPOINTS.rglob("*.json"),
        *CHECKPOINTS.rglob("*.md"),
    ]:
        assert f"ser_core/checkpoints/{path.relative_to(CHECKPOINTS).as_posix()}" in names
    for kind in ("*.js", "*.css", "*.html", "*.json", "*.ogg"):
        for path in (ROOT / "assets").rglob(kind):
            assert f"ser_ui/{path.relative_to(ROOT).as_posix()}" in names
    assert "ser_core/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ser_core", "ser_ui", f"ser_studio-{__version__}.dist-info"}
    assert wheel.stat().st_size < 95e6  # bytes; PyPI takes 100 MB


PROGRAM = """
import json, sys
import ser_core
light = "torch" not in sys.modules
from ser_core import Recognizer
from ser_core.export import WRITERS
analysis = Recognizer.load().analyze_file("clip.wav")
written = [name for name, writer in WRITERS.items() if writer([analysis])]
print(json.dumps([ser_core.__file__, light, len(analysis.segments), written]))
"""


def test_the_base_is_enough_for_the_library_and_the_commands(base, elsewhere):
    place, light, segments, written = json.loads(output(base / "python", "-c", PROGRAM))
    assert not Path(place).is_relative_to(ROOT)
    assert light
    assert segments >= 1
    assert written == list(WRITERS)
    (analysis,) = json.loads(output(base / "ser-studio", "analyze", "clip.wav"))
    assert (analysis["error"], len(analysis["segments"])) == (None, segments)
    shipped = json.loads(output(base / "ser-studio", "models", "--format", "json"))
    assert [model["name"] for model in shipped][:1] == [DEFAULT]
    doctor = output(base / "ser-studio", "doctor")
    assert "FAILED" not in doctor
    assert "SHA-256 matches" in doctor


def test_what_an_extra_is_needed_for_says_which(base, elsewhere):
    for command, extra in ((["page"], "page"), (["batch", "clip.wav", "--out", "rows"], "scale")):
        done = subprocess.run([base / "ser-studio", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f'pip install "ser-studio[{extra}]"' in done.stderr
        assert "Traceback" not in done.stderr


def test_the_page_opens_from_another_folder(wheel, elsewhere):
    commands = install(wheel, elsewhere / "venv", PAGE)
    port = free_port()
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(elsewhere / "uploads")}
    process = subprocess.Popen(
        [commands / "ser-studio", "page", "--model", "small", "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def answers() -> bool:
        assert process.poll() is None, process.stdout.read()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_S).json()["ok"]
        except httpx.ConnectError:
            return False

    try:
        assert eventually(answers)
        page = httpx.get(f"http://127.0.0.1:{port}/").text
        assert "SER Studio" in page
        assert "Drop" in page or "timeline" in page
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.skipif(not os.environ.get("SER_CLEAN_VENV"), reason="installs for minutes: SER_CLEAN_VENV=1")
@pytest.mark.timeout(3600)
def test_pip_installs_the_wheel_with_all_that_it_needs(wheel, elsewhere):
    subprocess.run([sys.executable, "-m", "venv", elsewhere / "venv"], check=True)
    commands = elsewhere / "venv" / "bin"
    output(commands / "python", "-m", "pip", "install", "--quiet", f"{wheel}[page]")
    (analysis,) = json.loads(output(commands / "ser-studio", "analyze", "clip.wav"))
    assert analysis["segments"]


def test_training_without_its_packages_says_what_to_do_in_one_line(base, elsewhere):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [base / "python", "-m", "train", "corpora"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: training needs \w+, which is not installed: run `make setup-train`\n", done.stderr
    )


def test_environments_of_tests_hold_what_is_asked_for_and_no_more():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {name.lower() for name in dependencies_of("librosa")}
    assert {"librosa", "numpy", "scipy"} <= names
    assert "gradio" not in names
    assert any(line.startswith("torch>") for line in declared)
    assert requires("librosa")
