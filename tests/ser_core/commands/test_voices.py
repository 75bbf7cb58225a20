"""`--voices` and `--channels`."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import SAMPLE_RATE, constant_bundle, syllables
from typer.testing import CliRunner

from ser_core.commands.cli import app


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(constant_bundle(tmp_path_factory.mktemp("models") / "sad", "sad"))


@pytest.fixture(scope="module")
def call(tmp_path_factory) -> str:
    """A call recorder's: a voice on each channel."""
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    low, high = syllables(5, 1, 110), syllables(4, 2, 210)
    length = max(len(low), len(high))
    both = [np.pad(one, (0, length - len(one))) for one in (low, high)]
    soundfile.write(path, np.stack(both, axis=1), SAMPLE_RATE)
    return str(path)


def analysed(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["analyze", *arguments])
    assert result.exit_code == 0, result.stderr
    [entry] = json.loads(result.stdout)
    return entry


@pytest.mark.parametrize("asked", [(), ("--channels", "auto"), ("--channels", "each")])
def test_a_call_has_a_voice_on_each_channel(call, model, asked):
    entry = analysed(call, "--model", model, *asked)
    assert {(one["voice"], one["channel"]) for one in entry["segments"]} == {("A", 1), ("B", 2)}
    assert [voice["voice"] for voice in entry["voices"]] == ["A", "B"]


@pytest.mark.parametrize(
    "asked", [("--voices", "one"), ("--voices", "1"), ("--channels", "mix", "--voices", "one"), ("--alike",)]
)
def test_one_voice_is_told_of_nobody(call, model, asked):
    entry = analysed(call, "--model", model, *asked)
    assert {(one["voice"], one["channel"]) for one in entry["segments"]} == {(None, None)}
    assert entry["voices"] == []


def test_each_voice_is_named_on_stderr(call, model):
    result = CliRunner().invoke(app, ["analyze", call, "--model", model])
    assert "A sad 1" in result.stderr or "A sad 9" in result.stderr
    assert ", B sad " in result.stderr


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (("--voices", "none"), "voices are auto, one, or how many speak"),
        (("--voices", "0"), "the number of voices is at least 1"),
        (("--voices", "-2"), "voices are auto, one, or how many speak"),
        (("--channels", "left"), "channels are auto, mix, each, not 'left'"),
        (("--channels", "each", "--voices", "2"), "where each channel is a voice"),
        (("--alike", "--voices", "2"), "--alike judges all that is said in one session"),
        (("--one-voice", "--channels", "each"), "--one-voice judges all that is said in one session"),
    ],
)
def test_what_makes_no_sense_is_refused(call, model, asked, complaint):
    result = CliRunner().invoke(app, ["analyze", call, "--model", model, *asked])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_run_goes_on_only_with_the_same_voices(call, model, tmp_path):
    run = ["analyze", call, "--model", model, "--out", str(tmp_path / "results"), "--resume"]
    assert CliRunner().invoke(app, run).exit_code == 0
    again = CliRunner().invoke(app, run)
    assert "1 of them done before" in again.stderr
    other = CliRunner().invoke(app, [*run, "--voices", "one"])
    assert other.exit_code == 2
    assert "other work" in other.stderr


def test_batch_writes_voices(call, model, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="needs requirements-scale.txt")
    result = CliRunner().invoke(app, ["batch", call, "--model", model, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    [part] = Path(tmp_path).glob("*.parquet")
    rows = pq.read_table(part).to_pylist()
    assert {(row["voice"], row["channel"], row["overlap"]) for row in rows} == {
        ("A", 1, False),
        ("B", 2, False),
    }
