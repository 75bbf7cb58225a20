"""What tests of several commands share."""

from pathlib import Path

import numpy as np
import pytest
from support import SAMPLE_RATE, syllables, write_wav


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Two recordings with speech, one of them in a folder below, a silent one, and a text file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk" / "more").mkdir(parents=True)
    write_wav(tmp_path / "talk" / "a.wav", syllables(2))
    write_wav(tmp_path / "talk" / "more" / "a.WAV", syllables(1, seed=1))
    write_wav(tmp_path / "talk" / "quiet.wav", np.zeros(SAMPLE_RATE))
    (tmp_path / "talk" / "notes.txt").write_text("no recording")
    return tmp_path
