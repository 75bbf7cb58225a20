"""Fixtures for all tests: a checkpoint, and real recordings where the corpora are present."""

from pathlib import Path

import pytest
from support import SHARED, random_bundle


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> str:
    """The folder of a checkpoint with random weights. Tests must not change it."""
    return str(random_bundle(tmp_path_factory.mktemp("model") / "random"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the corpora; skips the test where it is absent."""
    if not (SHARED / "data" / "ravdess").is_dir():
        pytest.skip("needs the corpora of ../shared/data")
    return SHARED / "data"


@pytest.fixture(scope="session")
def ravdess_angry(shared_data: Path) -> Path:
    """A RAVDESS clip of an angry man (actor 05), 3.4 s."""
    return shared_data / "ravdess" / "Actor_05" / "03-01-05-02-01-01-05.flac"
