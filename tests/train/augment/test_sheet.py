"""The command `augment` writes a WAV file for each technique, a figure and the draws."""

import json

import numpy as np
import pytest
import soundfile
from support import syllables, write_wav
from typer.testing import CliRunner

from train.augment import WAVEFORM_TECHNIQUES, chain
from train.augment.sheet import EVERY_TECHNIQUE
from train.cli import app


@pytest.fixture
def clip(tmp_path):
    return write_wav(tmp_path / "voice.wav", syllables(1))


def run(*arguments):
    return CliRunner().invoke(app, ["augment", *map(str, arguments)])


def test_it_writes_a_recording_a_technique_and_one_figure(clip, tmp_path):
    result = run(clip, "--out", tmp_path / "sheet")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "sheet").iterdir()}
    recordings = {f"{name}.wav" for name in WAVEFORM_TECHNIQUES}
    assert written == {"original.wav", "sheet.png", "draws.json"} | recordings
    assert (tmp_path / "sheet" / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_the_written_draws_make_the_recording_again(clip, tmp_path):
    run(clip, "--out", tmp_path)
    draws = json.loads((tmp_path / "draws.json").read_text())
    original, _ = soundfile.read(clip, dtype="float32")
    again = chain.apply(EVERY_TECHNIQUE, original / np.abs(original).max(), {"rir": draws["rir"]})
    written, _ = soundfile.read(tmp_path / "rir.wav", dtype="float32")
    np.testing.assert_allclose(written, again / max(1.0, np.abs(again).max()), atol=1e-4)


def test_a_recipe_decides_techniques_and_ranges(clip, tmp_path):
    recipe = tmp_path / "noisy.toml"
    recipe.write_text('name = "noisy"\narchitecture = "cnn_lstm"\n[augmentation.awgn]\nsnr_db = [3, 3]\n')
    assert run(clip, "--recipe", recipe, "--out", tmp_path / "sheet").exit_code == 0
    draws = json.loads((tmp_path / "sheet" / "draws.json").read_text())
    assert draws["awgn"]["snr_db"] == 3
    assert list(draws) == ["awgn"]


def test_what_is_wrong_is_one_line(clip, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    unreadable = run(text, "--out", tmp_path / "sheet")
    assert unreadable.exit_code == 1
    assert "text.wav" in unreadable.stderr
    plain = tmp_path / "plain.toml"
    plain.write_text('name = "plain"\narchitecture = "cnn_lstm"\n')
    nothing = run(clip, "--recipe", plain, "--out", tmp_path / "sheet")
    assert nothing.exit_code == 1
    assert "plain.toml: the recipe names no technique" in nothing.stderr
