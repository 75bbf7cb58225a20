"""`analyze --alike` and `--one-voice`: recordings judged together."""

import json
from pathlib import Path

import pytest
from support import random_bundle, syllables, write_wav
from typer.testing import CliRunner

from ser_core.commands.analyze import MANY
from ser_core.commands.cli import app
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def sources(text: str) -> list[str]:
    return [entry["source"] for entry in json.loads(text)]


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> Path:
    """Two recordings in one folder, one in another; the second has a copy there."""
    talk = tmp_path_factory.mktemp("voices") / "talk"
    for speaker, names in (("one", "ab"), ("two", "b")):
        (talk / speaker).mkdir(parents=True)
        for name in names:
            seed = ord(name)
            write_wav(talk / speaker / f"{name}.wav", syllables(1, seed, 90 + seed))
    return talk


@pytest.fixture(scope="module")
def adaptive(tmp_path_factory) -> Path:
    return random_bundle(tmp_path_factory.mktemp("adaptive"), "whisper_base_adaptive", temperature=0.1)


def settled(model: Path, paths: list[Path]) -> list[dict[str, float]]:
    """What one settled session of `paths` says of each."""
    session, recognizer = Session(), Recognizer.load(model, "cpu")
    list(recognizer.analyze_files(paths, session_of=lambda path: session))
    session.settle()
    analyses = recognizer.analyze_files(paths, session_of=lambda path: session)
    return [analysis.segments[0].probabilities for analysis in analyses]


def probabilities_of(voices: Path, model: Path, *options: str) -> dict[str, dict[str, float]]:
    """Probabilities of each recording's only segment, by folder and name."""
    done = run("analyze", voices, "--model", model, *options)
    segments = {Path(entry["source"]): entry["segments"] for entry in json.loads(done.stdout)}
    return {f"{path.parent.name}/{path.stem}": rows[0]["probabilities"] for path, rows in segments.items()}


def test_recordings_of_one_voice_are_judged_with_the_others_of_their_folder(voices, adaptive):
    apart, together = probabilities_of(voices, adaptive), probabilities_of(voices, adaptive, "--one-voice")
    assert list(together) == ["one/a", "one/b", "two/b"]
    assert apart["one/b"] == apart["two/b"] == together["two/b"]
    expected = settled(adaptive, [voices / "one" / f"{name}.wav" for name in "ab"])
    assert together["one/a"] == pytest.approx(expected[0], abs=1e-3)
    assert together["one/b"] == pytest.approx(expected[1], abs=1e-3)
    assert together["one/a"] != pytest.approx(apart["one/a"], abs=1e-2)


def test_recordings_made_alike_are_judged_with_all_others(voices, adaptive):
    together = probabilities_of(voices, adaptive, "--alike")
    paths = [voices / "one" / "a.wav", voices / "one" / "b.wav", voices / "two" / "b.wav"]
    for probabilities, expected in zip(together.values(), settled(adaptive, paths), strict=True):
        assert probabilities == pytest.approx(expected, abs=1e-3)
    assert together["one/b"] == together["two/b"]
    assert together["one/b"] != pytest.approx(
        probabilities_of(voices, adaptive, "--one-voice")["one/b"], abs=1e-2
    )


def test_the_order_in_which_recordings_made_alike_are_named_does_not_matter(voices, adaptive):
    files = sorted(map(str, voices.rglob("*.wav")))
    there, back = (
        json.loads(run("analyze", *order, "--model", adaptive, "--alike").stdout)
        for order in (files, files[::-1])
    )
    for one, other in zip(there, back[::-1], strict=True):
        assert one["source"] == other["source"]
        assert one["summary"]["probabilities"] == pytest.approx(other["summary"]["probabilities"], abs=2e-4)


def test_who_has_many_short_recordings_hears_of_judging_them_together(tmp_path, adaptive, model):
    for number in range(MANY):
        write_wav(tmp_path / f"{number}.wav", syllables(1, seed=number))
    assert "--alike" in run("analyze", tmp_path, "--model", adaptive).stderr
    assert "--alike" not in run("analyze", tmp_path, "--model", adaptive, "--alike").stderr
    assert "--alike" not in run("analyze", tmp_path, "--model", model).stderr
    (tmp_path / "0.wav").unlink()
    assert "--alike" not in run("analyze", tmp_path, "--model", adaptive).stderr


def test_a_model_that_does_not_adapt_says_so(folder, model):
    ways = (["--voices", "one"], ["--alike"])
    plain, flagged = (run("analyze", "talk", "--model", model, *way) for way in ways)
    assert flagged.stdout == plain.stdout
    assert "by itself" in flagged.stderr
    assert "by itself" not in plain.stderr
