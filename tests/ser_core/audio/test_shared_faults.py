"""Real recordings with a fault, from ../shared/faults: each is read as its README there asks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import SHARED
from typer.testing import CliRunner

from ser_core.audio import decode
from ser_core.audio.isolated import Decoder
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT
from ser_core.commands.cli import app

FAULTS = SHARED / "faults"

pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason="needs the recordings of ../shared/faults")


@dataclass(frozen=True)
class Expected:
    """What the README there asks of a file."""

    duration_s: float
    warning: str = ""  # its name; nothing where none is asked for
    labels: tuple[str, ...] = ()  # of the speech, in order, by the shipped model
    sure: bool = True  # else they are the most probable ones, and some may be under the threshold


FILES = {
    "chained.ogg": Expected(7.27, labels=("angry", "sad"), sure=False),
    "antiphase.flac": Expected(3.60, "Channels cancel", ("angry",)),
    "multi_default2.mkv": Expected(3.03, "Several tracks"),
    "ds_half.wav": Expected(3.60, "Wrong size"),
    "wav_cut.wav": Expected(2.08, "Cut off", ("angry",), sure=False),
    "flac_cut.flac": Expected(1.54, "Cut off"),
    "mp3_cut_tail.mp3": Expected(2.60, "Cut off"),
    "mp3_cut_head.mp3": Expected(3.58),
    "mp3_lead_zero.mp3": Expected(3.60),
    "mp3_mono_then_stereo.mp3": Expected(7.24),
    "mp3_id3v1_latin1.mp3": Expected(3.60),
    "t_latin1.m4a": Expected(3.60),
    "m4a_handler_latin1.m4a": Expected(3.60),
    "flacogg.ogg": Expected(3.60),
    "speex.ogg": Expected(3.60),
    "g726.wav": Expected(3.60),
    "id3front.wav": Expected(3.60),
}
FOLDER = ("big.rf64", "book.m4b", "chrome.weba", "clip.m4v", "field.bwf", "ok.wav", "radio.mp2")


@pytest.fixture(scope="module")
def isolated() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def analyses() -> dict[str, dict]:
    """All files and the folder, analysed by one run of the command with the shipped model; by file name."""
    if not (CHECKPOINTS / DEFAULT / "bundle.json").is_file():
        pytest.skip("needs the default model")
    paths = [*(str(FAULTS / name) for name in FILES), str(FAULTS / "folder")]
    result = CliRunner().invoke(app, ["analyze", *paths])
    assert result.exit_code == 0, result.stderr
    entries = json.loads(result.stdout)
    assert [entry["source"] for entry in entries[: len(FILES)]] == paths[:-1]
    assert len(entries) == len(FILES) + len(FOLDER)
    return {Path(entry["source"]).name: entry for entry in entries}


def named(warnings: list[str]) -> list[str]:
    """The names of faults of the file itself."""
    return [warning.partition(":")[0] for warning in warnings]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", ["this process", "a worker"])
def test_a_file_has_its_length_and_its_warning(name, way, request):
    read = decode.stream if way == "this process" else request.getfixturevalue("isolated").stream
    warnings: list[str] = []
    seconds = sum(map(len, read(FAULTS / name, warnings=warnings))) / SAMPLE_RATE
    assert seconds == pytest.approx(FILES[name].duration_s, abs=0.1)
    assert named(warnings) == [FILES[name].warning] * bool(FILES[name].warning)


@pytest.mark.parametrize("name", FOLDER)
def test_a_file_as_phones_and_recorders_name_it_is_read_whole(name):
    warnings: list[str] = []
    seconds = sum(map(len, decode.stream(FAULTS / "folder" / name, warnings=warnings))) / SAMPLE_RATE
    assert seconds == pytest.approx(3.60, abs=0.1)
    assert not warnings


@pytest.mark.parametrize("name", FILES)
def test_the_command_analyses_a_file(name, analyses):
    entry, expected = analyses[name], FILES[name]
    assert entry["error"] is None
    assert entry["duration"] == pytest.approx(expected.duration_s, abs=0.1)
    assert entry["segments"]
    assert expected.warning in ["", *named(entry["quality"]["warnings"])]
    labels = [
        segment["label"] if expected.sure else max(segment["probabilities"], key=segment["probabilities"].get)
        for segment in entry["segments"]
    ]
    assert list(dict.fromkeys(labels)) == list(expected.labels or dict.fromkeys(labels))
    if len(expected.labels) == 1 and expected.sure:
        assert entry["summary"]["label"] == expected.labels[0]


def test_the_second_track_is_named(analyses):
    (warning,) = [each for each in analyses["multi_default2.mkv"]["quality"]["warnings"] if "track" in each]
    assert "of 2 sound tracks the second" in warning


def test_the_command_analyses_every_recording_of_a_folder(analyses):
    entries = [analyses[name] for name in FOLDER]
    assert [entry["error"] for entry in entries] == [None] * len(FOLDER)
    assert [entry["summary"]["label"] for entry in entries] == [entries[0]["summary"]["label"]] * len(FOLDER)
