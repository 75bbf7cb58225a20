"""The static page, built from the locked npm packages, in a real Chromium behind a plain file server."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from support import ROOT

from web.serving import serving

CHROMIUM = Path("/usr/bin/chromium")
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
    """The built page with the model `small`."""
    pytest.importorskip("onnxscript")
    from web.build import build

    folder = tmp_path_factory.mktemp("web") / "dist"
    build(["small"], folder)
    return folder


@pytest.fixture
def address(dist) -> Iterator[str]:
    """Where the page is served."""
    with serving(dist) as address:
        yield address


@pytest.fixture(scope="session")
def browser(ravdess_angry, tmp_path_factory) -> Iterator[Browser]:
    """Chromium whose microphone plays an angry voice."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    import soundfile
    from support import write_wav

    sound = write_wav(
        tmp_path_factory.mktemp("sound") / "a.wav", soundfile.read(ravdess_angry, dtype="float32")[0]
    )
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=str(CHROMIUM),
            args=[
                *("--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking"),
                *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
                f"--use-file-for-fake-audio-capture={sound}",
            ],
        )
        yield chromium
        chromium.close()
