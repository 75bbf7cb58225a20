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


def written(path: Path, *channels: np.ndarray) -> str:
    longest = max(map(len, channels))
    samples = [np.pad(channel, (0, longest - len(channel))) for channel in channels]
    soundfile.write(path, np.stack(samples, axis=1), SAMPLE_RATE)
    return str(path)


def test_eight_channels_are_eight_voices_or_one_mix(model, tmp_path):
    sounds = [np.concatenate([np.zeros(8000 * n, np.float32), syllables(2, n)]) for n in range(8)]
    path = written(tmp_path / "eight.wav", *sounds)
    each = analysed(path, "--model", model, "--channels", "each")
    assert [(voice["voice"], voice["channel"]) for voice in each["voices"]] == [
        (name, number) for number, name in enumerate("ABCDEFGH", start=1)
    ]
    mixed = analysed(path, "--model", model)  # only two channels are a call recorder's
    assert {one["channel"] for one in mixed["segments"]} == {None}


def test_a_channel_that_ends_early_keeps_its_voice(model, tmp_path):
    entry = analysed(
        written(tmp_path / "uneven.wav", syllables(6, 1, 110), syllables(2, 2, 210)), "--model", model
    )
    assert [(voice["voice"], voice["channel"]) for voice in entry["voices"]] == [("A", 1), ("B", 2)]
    ends = {voice: max(one["end"] for one in entry["segments"] if one["voice"] == voice) for voice in "AB"}
    assert ends["B"] < ends["A"] / 2


def test_forty_voices_have_names_and_the_line_on_stderr_stays_short(model, tmp_path):
    path = written(tmp_path / "forty.wav", np.concatenate([syllables(1, n, 80 + 5 * n) for n in range(40)]))
    result = CliRunner().invoke(app, ["analyze", path, "--model", model, "--voices", "40"])
    assert result.exit_code == 0, result.stderr
    [entry] = json.loads(result.stdout)
    names = [voice["voice"] for voice in entry["voices"]]
    assert len(names) > 26
    assert names[24:27] == ["Y", "Z", "AA"]
    assert f"{len(names) - 8} more voices" in result.stderr
    assert max(map(len, result.stderr.splitlines())) < 250


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
