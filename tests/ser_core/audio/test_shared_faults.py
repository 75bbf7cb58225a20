"""Real recordings with a fault, from ../shared/faults: each is read as its README there asks."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from shared_faults import CALLS, FAULTS, FILES, SPEAKERS, TRAINED, check, named, needs_faults, speakers_of
from typer.testing import CliRunner

from ser_core.audio import decode
from ser_core.audio.isolated import Decoder
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.commands.cli import app

pytestmark = needs_faults


@pytest.fixture(scope="module")
def isolated() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def analyses() -> dict[str, dict]:
    """All files, the folder as a folder, analysed by one run of the command with the shipped model."""
    if not TRAINED:
        pytest.skip("needs the default model")
    paths = [str(FAULTS / name) for name in (*FILES, *CALLS) if not name.startswith("folder/")]
    result = CliRunner().invoke(app, ["analyze", *paths, str(FAULTS / "folder")])
    assert result.exit_code == 0, result.stderr
    entries = {str(Path(entry["source"]).relative_to(FAULTS)): entry for entry in json.loads(result.stdout)}
    assert entries.keys() == {*FILES, *CALLS}
    return entries


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", ["this process", "a worker"])
def test_a_file_has_its_length_and_its_warning(name, way, request):
    read = decode.stream if way == "this process" else request.getfixturevalue("isolated").stream
    warnings: list[str] = []
    seconds = sum(map(len, read(FAULTS / name, warnings=warnings))) / SAMPLE_RATE
    assert seconds == pytest.approx(FILES[name].duration_s, abs=0.1)
    assert named(warnings) == [FILES[name].warning] * bool(FILES[name].warning)


def sound(content: bytes) -> np.ndarray:
    return decode.decode(content).samples


def test_what_is_left_of_a_cut_file_is_its_numbers():
    content = (FAULTS / "wav_cut.wav").read_bytes()
    start = content.index(b"data") + 8
    numbers = np.frombuffer(content[start : start + (len(content) - start) // 2 * 2], "<i2")
    whole = io.BytesIO()
    soundfile.write(whole, numbers, 48_000, "PCM_16", format="WAV")
    assert np.array_equal(sound(content), sound(whole.getvalue()))


def test_a_chain_sounds_as_its_links_do():
    content = (FAULTS / "chained.ogg").read_bytes()
    second = content.index(b"OggS\0\2", 1)
    links = [sound(content[:second]), sound(content[second:])]
    assert np.abs(sound(content) - np.concatenate(links)).max() < 0.001


@pytest.mark.parametrize("name", FILES)
def test_the_command_analyses_a_file(name, analyses):
    check(analyses[name], FILES[name])


@pytest.mark.skipif(not TRAINED, reason="needs the default model")
@pytest.mark.parametrize("name", CALLS)
def test_the_command_tells_speakers_of_a_call_apart(name, analyses):
    assert analyses[name]["error"] is None
    assert speakers_of(analyses[name]) == SPEAKERS


def test_speakers_who_take_turns_stand_in_their_order(analyses):
    assert [segment["channel"] for segment in analyses["call_turns.flac"]["segments"]] == [1, 2] * 4


def test_the_second_track_is_named(analyses):
    (warning,) = [each for each in analyses["multi_default2.mkv"]["quality"]["warnings"] if "track" in each]
    assert "of 2 sound tracks the second" in warning
