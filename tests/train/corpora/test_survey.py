"""`python -m train corpora` reports the content and the problems of every corpus."""

import csv
import time
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
    assert code == 1
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
    assert code == 1
    assert f"duplicates: {good} = {folder / 'JE_a01.wav'}" in out
    for name, reason in (("JK_a01.wav", "empty"), ("KL_a01.wav", "unsupported_format")):
        assert f"unreadable: {folder / name}: {reason}: " in out
    assert f"unreadable: {folder / 'KL_a02.wav'}: too_short: " in out
    assert out.count("unreadable") == 3
    assert f"in part: {cut}: Cut off: " in out
    assert out.count("in part") == 1


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


STRETCHES = "file,speaker,emotion,start,end\n"


def test_times_outside_of_their_recording_are_named_and_are_no_hours(tmp_path):
    folder = tabled(
        tmp_path / "mine",
        STRETCHES + "a.wav,1,joy,9,10\na.wav,1,joy,0.05,3600\na.wav,1,joy,0.2,0.25\na.wav,2,joy,0.1,0.3\n",
    )
    code, out, _ = surveyed(folder)
    path = folder / "a.wav"  # 0.25 s
    assert code == 1
    assert f"unusable: {path}: start 9 s is behind the end of the recording (0.25 s)" in out
    assert f"unusable: {path}: end 3600 s is behind the end of the recording (0.25 s)" in out
    assert f"unusable: {path}: the stretch 0.2 to 0.25 s holds less than 0.1 s" in out
    assert out.count("unusable") == 3  # times are rounded: 0.3 s is near enough
    found = corpora.inspect(corpora.load(folder))
    assert found.hours * 3600 == pytest.approx(0.2 + 0.05 + 0.15)


def test_damage_in_the_middle_of_a_flac_is_found_before_training(tmp_path):
    folder = tabled(tmp_path / "mine", STRETCHES + "whole.flac,1,joy,,\ndamaged.flac,1,fear,,\n")
    for name in ("whole.flac", "damaged.flac"):
        soundfile.write(folder / name, np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
    content = bytearray((folder / "damaged.flac").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "damaged.flac").write_bytes(content)
    code, out, _ = surveyed(folder)
    assert code == 0  # what is left of it can be trained on
    assert out.count("in part") == 1
    assert f"in part: {folder / 'damaged.flac'}: Damaged: " in out


def test_what_is_no_recording_and_a_linked_folder_are_named(tmp_path):
    folder = tmp_path / "mine"
    recording(folder / "angry" / "a.wav").rename(folder / "angry" / "no suffix")
    recording(folder / "sad" / "b.wav")
    for name in ("notes.txt", "more.txt", "cover.jpg"):
        (folder / "sad" / name).write_text("no sound", encoding="utf-8")
    (folder / "happy").symlink_to(recording(tmp_path / "elsewhere" / "c.wav").parent)
    out = surveyed(folder)[1]
    assert "mine: 2 clips" in out
    assert "3 files were not looked at (.txt 2, .jpg 1)" in out
    assert f"{folder / 'happy'}: a linked folder, which is not followed" in out


def test_a_stretch_behind_the_cut_of_a_recording_is_named(tmp_path):
    folder = tabled(tmp_path / "mine", STRETCHES + "cut.flac,1,joy,0.1,0.3\ncut.flac,1,joy,0.9,1\n")
    soundfile.write(folder / "cut.flac", np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:15000])
    out = surveyed(folder)[1]
    assert out.count(f"in part: {folder / 'cut.flac'}: Cut off: ") == 1
    assert out.count("unusable") == 1
    assert f"unusable: {folder / 'cut.flac'}: start 0.9 s is behind the end" in out


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a.wav,1,joy,,\na.wav,1,fear,,\n", "the whole file is happy and the whole file is fearful"),
        ("a.wav,1,joy,,\n./a.wav,2,fear,,\n", "the whole file is happy and the whole file is fearful"),
        ("a.wav,1,joy,0,0.1\na.wav,2,fear,0,0.1\n", "0 to 0.1 s is happy and 0 to 0.1 s is fearful"),
        ("a.wav,1,joy,0.05,0.2\na.wav,1,fear,0,0.2\n", "0 to 0.2 s is fearful and 0.05 to 0.2 s is happy"),
        ("a.wav,1,joy,0,0.2\na.wav,1,fear,,\n", "0 to 0.2 s is happy and the whole file is fearful"),
    ],
)
def test_two_labels_for_one_sound_are_named(tmp_path, rows, problem):
    folder = tabled(tmp_path / "mine", STRETCHES + rows)
    assert f"unusable: {folder / 'a.wav'}: {problem}: keep one label." in surveyed(folder)[1]
    with pytest.raises(corpora.CorpusError, match=problem):
        corpora.check_clips(corpora.read_corpus(folder))


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        ("a.wav,1,joy,,\na.wav,1,joy,,\n", "the whole file is listed twice"),
        ("a.wav,1,joy,0,0.1\na.wav,1,joy,0,0.1\n", "0 to 0.1 s is listed twice"),
        ("a.wav,1,joy,0,0.2\na.wav,2,fear,0.05,0.2\n", "0.05 to 0.2 s is fearful, of two speakers"),
        ("a.wav,1,joy,0,0.12\na.wav,1,fear,0.1,0.25\n", ""),  # neighbours, with rounded times
        ("a.wav,1,joy,0.1,0.2\na.wav,1,fear,0,0.1\n", ""),  # of the shortest length that is read
        ("a.wav,1,joy,,\nb.wav,1,fear,,\n", ""),
    ],
)
def test_sound_listed_twice_and_speakers_at_once_are_warned_of(tmp_path, caplog, rows, warning):
    folder = tabled(tmp_path / "mine", STRETCHES + rows)
    recording(folder / "b.wav")
    out = surveyed(folder)[1]
    assert "unusable" not in out
    assert [line for line in out.splitlines() if "warning" in line and "one speaker" not in line] == [
        line for line in out.splitlines() if warning and warning in line
    ]
    assert out.count(warning) == 1 or not warning
    clips = corpora.read_corpus(folder)  # as `fit` reads it
    assert warning in caplog.text
    corpora.check_clips(clips)


def test_many_stretches_of_one_recording_are_compared_quickly(tmp_path):
    rows = "".join(f"a.wav,1,{('joy', 'fear')[n % 2]},{n},{n + 1}\n" for n in range(20_000))
    folder = tabled(tmp_path / "mine", STRETCHES + rows)
    began = time.monotonic()
    assert len(corpora.load(folder).clips) == 20_000
    assert time.monotonic() - began < 20


def test_what_decoding_would_refuse_is_found_from_the_header(tmp_path):
    sound = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE)
    folder = tmp_path / "mine" / "happy"
    folder.mkdir(parents=True)
    soundfile.write(folder / "slow.wav", sound, 2000)
    soundfile.write(folder / "wide.wav", np.repeat(sound[:, None], 12, axis=1), SAMPLE_RATE)
    sound[5] = np.nan
    soundfile.write(folder / "nan.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    out = surveyed(tmp_path / "mine")[1]
    for name, code in (("slow", "bad_sample_rate"), ("wide", "too_many_channels"), ("nan", "not_finite")):
        assert f"unreadable: {folder / name}.wav: {code}: " in out


def test_a_stretch_in_the_second_part_of_a_joined_recording_is_inside_of_it(tmp_path):
    folder = tabled(tmp_path / "mine", STRETCHES + "joined.ogg,1,joy,1.5,1.9\njoined.ogg,2,fear,,\n")
    soundfile.write(folder / "one.ogg", np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
    (folder / "joined.ogg").write_bytes((folder / "one.ogg").read_bytes() * 2)
    found = corpora.inspect(corpora.load(folder))
    assert not found.unusable
    assert found.hours * 3600 == pytest.approx(0.4 + 2, abs=0.01)


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
