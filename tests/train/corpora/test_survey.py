"""`python -m train corpora` reports the content and the problems of every corpus."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import SAMPLE_RATE, recording, tabled, write_wav
from typer.testing import CliRunner

from train import corpora
from train.cli import app


def surveyed(folder: Path) -> tuple[int, str, str]:
    """Exit code, what `train corpora` prints, and what it complains of."""
    result = CliRunner().invoke(app, ["corpora", str(folder)])
    return result.exit_code, result.stdout, result.stderr


def test_the_survey_counts_and_goes_on_after_a_bad_corpus(tmp_path):
    for name in ("03a01Fa", "03a02Wa", "16a01Na"):
        recording(tmp_path / "emodb" / f"{name}.wav", seconds=1.2)
    tabled(tmp_path / "broken", "file,speaker\n")
    code, out, err = surveyed(tmp_path)
    assert code == 0
    assert "emodb: 3 clips, 2 speakers, 0.00 h, de, read by names as in EmoDB" in out
    assert "neutral 1, happy 1, angry 1" in out
    assert "broken/metadata.csv lacks the column emotion" in err


def test_the_survey_names_unreadable_files_and_duplicates(tmp_path):
    folder = tmp_path / "savee"
    good = recording(folder / "DC_a01.wav")
    (folder / "JE_a01.wav").write_bytes(good.read_bytes())
    (folder / "JK_a01.wav").write_bytes(b"")
    (folder / "KL_a01.wav").write_bytes(b"no sound" * 100)
    write_wav(folder / "KL_a02.wav", np.zeros(100, np.float32))
    cut = folder / "KL_a03.flac"
    soundfile.write(cut, np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
    cut.write_bytes(cut.read_bytes()[:8000])
    code, out, _ = surveyed(tmp_path)
    assert code == 0
    assert f"duplicates: {good} = {folder / 'JE_a01.wav'}" in out
    for name, reason in (("JK_a01.wav", "empty"), ("KL_a01.wav", "unsupported_format")):
        assert f"unreadable: {folder / name}: {reason}: " in out
    assert f"unreadable: {folder / 'KL_a02.wav'}: too_short: " in out
    assert f"unreadable: {cut}: truncated: " in out
    assert out.count("unreadable") == 4


def test_the_survey_finds_copies_in_another_corpus(tmp_path):
    one = recording(tmp_path / "savee" / "DC_a01.wav")
    other = tmp_path / "emodb" / "03a01Wa.wav"
    other.parent.mkdir()
    other.write_bytes(one.read_bytes())
    assert f"in two corpora, duplicates: {other} = {one}" in surveyed(tmp_path)[1]


def test_the_survey_warns_of_a_single_speaker(tmp_path):
    recording(tmp_path / "savee" / "DC_a01.wav")
    assert (
        "warning: only one speaker (savee/DC): train it together with other corpora" in surveyed(tmp_path)[1]
    )


@pytest.mark.parametrize("name", ["SAVEE", "mine"])
def test_the_survey_takes_one_corpus_as_well_as_a_folder_of_them(tmp_path, name):
    recording(tmp_path / name / ("DC/a01.wav" if name == "SAVEE" else "angry/1.wav"))
    assert surveyed(tmp_path)[1] == surveyed(tmp_path / name)[1] != ""


def test_the_survey_of_nothing_says_what_to_do(tmp_path):
    code, out, err = surveyed(tmp_path)
    assert (code, out) == (1, "")
    assert "Name the folder whose subfolders are the corpora" in err


def test_lengths_are_read_from_every_kind_of_file(tmp_path):
    sound = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE)
    for suffix in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / "mine" / "happy" / f"1.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, SAMPLE_RATE)
    survey = corpora.inspect(corpora.load(tmp_path / "mine"))
    assert not survey.unreadable
    assert survey.hours * 3600 == pytest.approx(8, abs=0.2)  # MP3 pads


def test_the_survey_of_ravdess_reports_its_two_identical_clips(shared_data):
    survey = corpora.inspect(corpora.load(shared_data / "ravdess"))
    text = corpora.describe(survey)
    assert text.startswith("ravdess: 1440 clips, 24 speakers, 1.48 h, en")
    assert text.count("duplicates") == 1
    assert "Actor_07/03-01-03-01-02-01-07.flac" in text
    assert "Actor_07/03-01-03-01-02-02-07.flac" in text
    assert not survey.unreadable


def test_hours_are_those_of_the_tables(shared_data):
    with (shared_data / "emovo" / "metadata.csv").open(newline="") as file:
        seconds = sum(float(row["duration_s"]) for row in csv.DictReader(file))
    survey = corpora.inspect(corpora.load(shared_data / "emovo"))
    assert survey.hours * 3600 == pytest.approx(seconds, abs=1)
