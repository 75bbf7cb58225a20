"""The tab Files: one row per file as soon as its result is known, also for files that cannot be analysed."""

import json
from itertools import pairwise

import numpy as np
import pytest
from support import SAMPLE_RATE, random_bundle, syllables, write_wav

from ser_core.emotions import LABELS
from ser_core.export.json import to_dict
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import VoiceOptions
from ser_ui.tabs import files
from ser_ui.words import PHRASES

ENGLISH = PHRASES["en"]


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory) -> Recognizer:
    return Recognizer.load(random_bundle(tmp_path_factory.mktemp("model") / "random"))


@pytest.fixture
def paths(tmp_path) -> list[str]:
    """A recording of speech, a text file named .wav, and silence."""
    (tmp_path / "bad.wav").write_text("no recording " * 50)
    return [
        str(write_wav(tmp_path / "a & b.wav", syllables(2))),
        str(tmp_path / "bad.wav"),
        str(write_wav(tmp_path / "quiet.wav", np.zeros(2 * SAMPLE_RATE, np.float32))),
    ]


def parsed(lines: str) -> list[dict]:
    return [json.loads(line) for line in lines.splitlines()]


def test_results_stream_in_one_line_after_the_other(recognizer, paths):
    steps = [lines for lines, _ in files.results(recognizer, paths, ENGLISH)]
    assert [len(parsed(lines)) for lines in steps] == [1, 2, 3, 4, 5]
    assert all(after.startswith(before) for before, after in pairwise(steps))


def test_nothing_is_analysed_before_it_is_asked_for(recognizer, paths):
    running = files.results(recognizer, [*paths, "/nowhere"], ENGLISH)
    assert parsed(next(running)[0])[0]["files"] == ["a & b.wav", "bad.wav", "quiet.wav", "nowhere"]
    assert len(next(running)[1]) == 1
    running.close()  # as a cancellation does


def test_a_row_says_what_the_analysis_says_or_why_there_is_none(recognizer, paths):
    *_, (lines, analyses) = files.results(recognizer, paths, ENGLISH)
    _, speech, bad, quiet, done = parsed(lines)
    expected = to_dict(recognizer.analyze_file(paths[0], "a & b.wav", options=VoiceOptions()))
    assert to_dict(analyses[0]) == expected
    assert speech["label"] == expected["summary"]["label"]
    assert speech["duration"] == expected["duration"]
    lengths = [segment["end"] - segment["start"] for segment in expected["segments"]]
    assert speech["speech"] == pytest.approx(sum(lengths), abs=0.01)
    assert speech["seconds"].keys() <= {*LABELS, "unknown"}
    assert bad["error"]["code"] == "unsupported_format"
    assert bad["error"]["message"].endswith(".")
    assert (quiet["label"], quiet["speech"], quiet["seconds"]) == ("no_speech", 0, {})
    assert done == {"done": True}


def test_files_recorded_alike_are_heard_first_and_then_judged_with_each_other(tmp_path):
    adaptive = random_bundle(tmp_path / "adaptive", "whisper_base_adaptive", temperature=0.1)
    recognizer = Recognizer.load(adaptive, "cpu")
    paths = [str(write_wav(tmp_path / f"{seed}.wav", syllables(2, seed))) for seed in range(2)]
    session = Session()
    for path in paths:
        recognizer.analyze_file(path, session=session)
    session.settle()
    expected = [recognizer.analyze_file(path, session=session).summary for path in paths]
    *_, (lines, together) = files.results(recognizer, paths, ENGLISH, alike=True)
    *_, (_, apart) = files.results(recognizer, paths, ENGLISH)
    assert [analysis.summary for analysis in together] == expected
    assert all(one.summary != other for one, other in zip(apart, expected, strict=True))
    rows = [json.loads(row) for row in lines.splitlines()]
    assert [(row["number"], row.get("state")) for row in rows[1:-1]] == [
        (0, "heard"),
        (1, "heard"),
        (0, None),
        (1, None),
    ]


def test_the_same_files_again_are_another_run(recognizer, paths):
    first, second = (next(files.results(recognizer, paths, ENGLISH))[0] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("name", files.FORMATS)
def test_all_results_are_saved_in_one_file(recognizer, paths, name):
    *_, (_, analyses) = files.results(recognizer, paths[:1], ENGLISH)
    reply = json.loads(files.file_reply(analyses, 3, name, ENGLISH))
    assert (reply["kind"], reply["number"], reply["name"]) == ("file", 3, f"emotions.{name}")
    assert reply["text"]


@pytest.mark.parametrize(("analyses", "format_"), [(None, "json"), ([], "json"), ([1], "exe"), ([1], "eaf")])
def test_what_cannot_be_saved_is_told(analyses, format_):
    assert json.loads(files.file_reply(analyses, 1, format_, ENGLISH))["kind"] == "problem"
