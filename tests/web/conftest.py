"""The static page, built from the locked npm packages, in a real Chromium behind a plain file server."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, Playwright, sync_playwright
from static_page import ARGUMENTS, CHROMIUM
from support import ROOT

from web.serving import serving

PACKAGES = ROOT / "web" / "node_modules"


@pytest.fixture(scope="session")
def packages() -> Path:
    """The npm packages, fetched by the lock file; skips the test without npm or its registry."""
    if not PACKAGES.is_dir():
        if not shutil.which("npm"):
            pytest.skip("needs npm")
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        fetched = subprocess.run(command, cwd=ROOT / "web", capture_output=True, timeout=200, check=False)
        if fetched.returncode:
            pytest.skip("the npm packages cannot be had")
    return PACKAGES


@pytest.fixture(scope="session")
def dist(packages, tmp_path_factory) -> Path:
    """The built page with the model `small`; the workers of one run share it. Tests must not change it."""
    pytest.importorskip("onnxscript")
    from web.build import build

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "web" / "dist"
    with FileLock(f"{folder.parent}.lock"):
        if not folder.is_dir():
            build(["small"], folder.with_name("begun"))
            folder.with_name("begun").rename(folder)
    return folder


@pytest.fixture
def address(dist) -> Iterator[str]:
    """Where the page is served."""
    with serving(dist) as address:
        yield address


@pytest.fixture(scope="module")
def driver() -> Iterator[Playwright]:
    """Playwright."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(driver, ravdess_angry, tmp_path_factory) -> Iterator[Browser]:
    """Chromium whose microphone plays an angry voice."""
    import soundfile
    from support import write_wav

    folder = tmp_path_factory.mktemp("sound")
    sound = write_wav(folder / "a.wav", soundfile.read(ravdess_angry, dtype="float32")[0])
    chromium = driver.chromium.launch(
        executable_path=str(CHROMIUM),
        args=[
            *ARGUMENTS,
            *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
            f"--use-file-for-fake-audio-capture={sound}",
        ],
    )
    yield chromium
    chromium.close()
