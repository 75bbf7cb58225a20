"""A real Chromium with the real `app.py`, and a microphone that plays a recording."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from app_server import app_server
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from support import constant_bundle, random_bundle, syllables, write_wav

from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
LOCAL = ("http://127.0.0.1:", "data:", "blob:")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder for screenshots."""
    folder = ROOT / "artefacts" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def speech(tmp_path_factory, request) -> Path:
    """A WAV file of an angry man; generated vowels where the corpora are absent."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    try:
        samples, _ = soundfile.read(request.getfixturevalue("ravdess_angry"), dtype="float32")
    except pytest.skip.Exception:
        samples = syllables(3)
    return write_wav(path, samples)


@pytest.fixture(scope="session")
def trained() -> bool:
    """Whether the default model is present; without it the page runs with random weights."""
    return (CHECKPOINTS / DEFAULT / "bundle.json").is_file()


@pytest.fixture(scope="session")
def model(tmp_path_factory, trained) -> str:
    """The checkpoint that the app is started with."""
    return DEFAULT if trained else str(random_bundle(tmp_path_factory.mktemp("model") / "random"))


@pytest.fixture(scope="session")
def studio(tmp_path_factory) -> Path:
    """The program with its default model and three whose results are known."""
    folder = tmp_path_factory.mktemp("studio")
    shutil.copy(ROOT / "app.py", folder)  # a copy, because the program's folder is that of app.py
    for room in ("ser_core", "ser_ui", "assets"):
        (folder / room).symlink_to(ROOT / room)
    constant_bundle(folder / "checkpoints" / "cross", "angry")
    constant_bundle(folder / "checkpoints" / "glum", "sad")
    constant_bundle(folder / "checkpoints" / "shy", "sad", threshold=1.0)  # never sure
    for name in (DEFAULT, "voices"):
        if (CHECKPOINTS / name).is_dir():
            (folder / "checkpoints" / name).symlink_to(CHECKPOINTS / name)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory, model, studio) -> Iterator[str]:
    """The address of the app, started once per session."""
    with app_server(model, tmp_path_factory.mktemp("server"), studio) as address:
        yield address


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver. Without Chromium the test is skipped; in CI it fails."""
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs Chromium at {CHROMIUM}")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright, speech) -> Iterator[Browser]:
    """Chromium whose microphone plays `speech` in a loop."""
    chromium = playwright.chromium.launch(
        executable_path=str(CHROMIUM),
        args=[
            "--no-sandbox",
            "--headless=new",
            "--disable-gpu",
            "--disable-background-networking",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={speech}",
            "--host-resolver-rules=MAP not-secure.test 127.0.0.1",
        ],
    )
    yield chromium
    chromium.close()


@pytest.fixture
def size(request) -> tuple[int, str]:
    """Width in pixels and colour scheme of the window; tests may choose others."""
    return getattr(request, "param", (1280, "light"))


@pytest.fixture
def locale(request) -> str:
    """The language of the browser; tests may choose another."""
    return getattr(request, "param", "en-US")


@contextmanager
def opened(
    browser: Browser, server: str, width: int, scheme: str, locale: str = "en-US", failing: str = ""
) -> Iterator[Page]:
    """The page of a new visitor, which must log no errors and send requests to the app only.

    `failing`: a pattern of the errors that a test provokes; at least one must occur.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        locale=locale,
        permissions=["microphone"],
    )
    page = context.new_page()
    errors, foreign_requests = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("request", lambda request: request.url.startswith(LOCAL) or foreign_requests.append(request.url))
    page.goto(server)
    page.locator("#answer h2").wait_for()
    yield page
    context.close()
    provoked = [error for error in errors if failing and re.search(failing, error)]
    assert bool(provoked) == bool(failing)
    assert not set(errors) - set(provoked)
    assert not foreign_requests


@pytest.fixture
def page(browser: Browser, server: str, size, locale) -> Iterator[Page]:
    """The open page."""
    with opened(browser, server, *size, locale) as page:
        yield page


@pytest.fixture(scope="session")
def three_clips(tmp_path_factory, request) -> Path:
    """Three emotions with pauses between them."""
    try:
        actor = request.getfixturevalue("shared_data") / "ravdess" / "Actor_05"
        names = ("03-01-05-02-01-01-05", "03-01-04-02-02-01-05", "03-01-03-02-01-01-05")
        clips = [soundfile.read(actor / f"{name}.flac", dtype="float32")[0] for name in names]
        clips = [0.7 * clip / np.abs(clip).max() for clip in clips]
    except pytest.skip.Exception:
        clips = [syllables(2, seed) for seed in range(3)]
    return write_wav(tmp_path_factory.mktemp("clips") / "three emotions.wav", np.concatenate(clips))
