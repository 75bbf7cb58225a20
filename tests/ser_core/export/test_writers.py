"""What the writers write: the contract other programs read."""

import csv
import io
import json

import pytest

from ser_core.analysis import Analysis, Segment, Verdict, make_segment
from ser_core.audio.quality import Quality
from ser_core.emotions import LABELS
from ser_core.errors import AudioError
from ser_core.export import WRITERS, files

PROBABILITIES = dict(zip(LABELS, (0.01, 0.0, 0.02, 0.0, 0.91, 0.02, 0.03, 0.01), strict=True))
GOOD = Quality(peak_dbfs=-3.1415, clipped=0.0, snr_db=24.04, bandwidth_hz=8000, warnings=())


def one_segment(source="a.wav", probabilities=PROBABILITIES) -> Analysis:
    segment = make_segment(1.05, 2.6100001, probabilities, threshold=0.5)
    summary = Verdict(segment.label, segment.confidence, segment.probabilities)
    return Analysis(source, 3.3, "default", "1.0", GOOD, (segment,), summary)


def silent(source="quiet.wav") -> Analysis:
    return Analysis(source, 2.0, "default", "1.0", GOOD)


def broken(source="broken.wav") -> Analysis:
    return Analysis(
        source, 0.0, "default", "1.0", error=AudioError("empty", "The file is empty: record again.")
    )


def parsed_csv(*analyses):
    return list(csv.DictReader(io.StringIO(WRITERS["csv"](analyses), newline="")))


def test_json_is_the_documented_schema():
    [entry] = json.loads(WRITERS["json"]([one_segment()]))
    verdict = {"label": "angry", "confidence": 0.91, "probabilities": PROBABILITIES}
    nobody = {"voice": None, "channel": None, "overlap": False}
    assert entry == {
        "schema": 2,
        "source": "a.wav",
        "duration": 3.3,
        "model": {"name": "default", "version": "1.0"},
        "quality": {"peak_dbfs": -3.1, "clipped": 0.0, "snr_db": 24.0, "bandwidth_hz": 8000, "warnings": []},
        "segments": [
            {"start": 1.05, "end": 2.61, **verdict, "valence": -0.4747, "arousal": 0.5763, **nobody}
        ],
        "summary": verdict,
        "voices": [],
        "error": None,
    }


def test_json_of_silence_has_no_segments_and_says_no_speech():
    [entry] = json.loads(WRITERS["json"]([silent()]))
    assert entry["segments"] == []
    assert entry["summary"] == {"label": "no_speech", "confidence": 0.0, "probabilities": {}}


def test_json_of_a_broken_file_has_its_error_and_nothing_measured():
    [entry] = json.loads(WRITERS["json"]([broken()]))
    assert entry["error"] == {"code": "empty", "message": "The file is empty: record again."}
    assert entry["segments"] == []
    assert entry["quality"] is None


def test_rounded_probabilities_still_sum_to_one():
    eighths = {name: 1 / 7 if name != "calm" else 0.0 for name in LABELS}
    [entry] = json.loads(WRITERS["json"]([one_segment(probabilities=eighths)]))
    assert sum(entry["segments"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_json_is_a_list_in_the_order_given():
    entries = json.loads(WRITERS["json"]([broken(), one_segment(), silent()]))
    assert [entry["source"] for entry in entries] == ["broken.wav", "a.wav", "quiet.wav"]
    assert json.loads(WRITERS["json"]([])) == []


@pytest.mark.parametrize("name", ["json", "csv", "html"])
def test_any_file_name_becomes_valid_utf8(name):
    text = WRITERS[name](
        [one_segment("Gespräch 会話.wav"), one_segment("caf\udce9.wav")]
    )  # stray Latin-1 byte
    assert "Gespräch 会話.wav" in text
    assert "caf\ufffd.wav" in text.encode("utf-8").decode("utf-8")


def test_csv_has_one_row_a_segment_with_every_class():
    [row] = parsed_csv(one_segment())
    assert (row["source"], row["start"], row["end"], row["label"]) == ("a.wav", "1.050", "2.610", "angry")
    assert {name: float(row[name]) for name in LABELS} == PROBABILITIES


def test_csv_rows_of_silent_and_broken_files_say_so():
    quiet, bad = parsed_csv(silent(), broken())
    assert (quiet["label"], quiet["start"], quiet["angry"]) == ("no_speech", "", "")
    assert (bad["label"], bad["confidence"]) == ("empty", "")


def test_csv_keeps_names_with_commas_quotes_and_newlines():
    name = 'a, "b"\nc.wav'
    assert parsed_csv(one_segment(name))[0]["source"] == name


@pytest.mark.parametrize("name", ["=HYPERLINK(A1).wav", "+1.wav", "-1.wav", "@SUM(A1).wav", "\t=1.wav"])
def test_csv_disarms_file_names_that_a_spreadsheet_would_compute(name):
    assert parsed_csv(one_segment(name))[0]["source"] == "'" + name


def test_csv_lines_end_as_rfc_4180_wants():
    text = WRITERS["csv"]([one_segment(), silent()])
    assert text.count("\r\n") == 3
    assert text.count("\n") == 3


def test_a_model_with_fewer_classes_leaves_the_others_empty():
    segment = Segment("happy", 0.7, {"happy": 0.7, "sad": 0.3}, 0.0, 1.0, valence=0.4, arousal=0.3)
    [row] = parsed_csv(Analysis("a.wav", 1.0, "two", "1", GOOD, (segment,)))
    assert (row["happy"], row["calm"]) == ("0.7000", "")


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "out.json"
    path.write_text("old")
    files.write(path, "néw")
    assert path.read_text(encoding="utf-8") == "néw"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "\udce9")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_recordings_of_one_name_get_files_of_their_own(tmp_path):
    sources = ["x/a.wav", "x/a.flac", "y/a.wav"]
    assert len(set(files.targets(str(tmp_path), sources, "json"))) == 3
