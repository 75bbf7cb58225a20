"""Voices in every format, read back by the library that people read it with."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest
import webvtt
from praatio import textgrid
from pyannote.database.util import load_rttm
from pympi import Elan

from ser_core.analysis import Analysis, make_segment, summarise, voices_of
from ser_core.audio.quality import Quality
from ser_core.emotions import LABELS
from ser_core.export import WRITERS

GOOD = Quality(peak_dbfs=-3.0, clipped=0.0, snr_db=24.0, bandwidth_hz=8000, warnings=())
# Voice, channel, start and end in s, emotion; B speaks while A does, and nobody knows who speaks last.
CALL = (
    ("A", 1, 0.5, 2.0, "calm"),
    ("B", 2, 1.5, 3.25, "angry"),
    ("A", 1, 4.0, 5.0, "sad"),
    ("?", None, 6.0, 7.0, "happy"),
)


def call(names: dict[str, str] | None = None) -> Analysis:
    """The analysis of CALL; `names`: what a person calls the voices."""
    segments = []
    for voice, channel, start, end, emotion in CALL:
        shares = {name: 0.65 if name == emotion else 0.05 for name in LABELS}
        said = make_segment(start, end, shares, 0.5)
        name = (names or {}).get(voice, voice)
        segments.append(replace(said, voice=name, channel=channel, overlap=start in (0.5, 1.5)))
    voices = voices_of(segments, 0.5)
    summary = summarise(segments, 0.5)
    return Analysis("call.wav", 8.0, "default", "1", GOOD, tuple(segments), summary, voices=voices)


def alone() -> Analysis:
    """One voice was found."""
    [segment] = [replace(one, voice="A") for one in call().segments[:1]]
    return replace(call(), segments=(segment,), voices=voices_of([segment], 0.5))


def test_json():
    [entry] = json.loads(WRITERS["json"]([call()]))
    assert [(one["voice"], one["channel"]) for one in entry["segments"]] == [(v, c) for v, c, *_ in CALL]
    assert [one["overlap"] for one in entry["segments"]] == [True, True, False, False]
    first, second = entry["voices"]
    assert (first["voice"], first["channel"], first["time"]) == ("A", 1, 2.5)
    assert first["shares"] == {"calm": 0.6, "sad": 0.4}
    assert first["summary"]["probabilities"]["calm"] == pytest.approx(0.6 * 0.65 + 0.4 * 0.05)
    assert [point["time"] for point in first["trail"]] == [1.25, 4.5]
    assert second["summary"]["label"] == "angry"


def test_csv():
    rows = list(csv.DictReader(io.StringIO(WRITERS["csv"]([call()]), newline="")))
    assert [(row["voice"], row["channel"], row["overlap"]) for row in rows] == [
        ("A", "1", "true"),
        ("B", "2", "true"),
        ("A", "1", "false"),
        ("?", "", "false"),
    ]
    named = csv.DictReader(io.StringIO(WRITERS["csv"]([call({"B": "=A1"})]), newline=""))
    assert [row["voice"] for row in named][1] == "'=A1"


def test_rttm_has_speakers_and_keeps_the_emotion(tmp_path):
    path = tmp_path / "call.rttm"
    path.write_text(WRITERS["rttm"]([call({"B": "the caller"})]))
    annotation = load_rttm(str(path))["call.wav"]
    found = {(s.start, s.end, label) for s, _, label in annotation.itertracks(yield_label=True)}
    assert found == {
        (0.5, 2.0, "A"),
        (1.5, 3.25, "the%20caller"),
        (4.0, 5.0, "A"),
        (6.0, 7.0, "?"),
    }
    fields = [line.split() for line in path.read_text().splitlines()]
    assert [one[2] for one in fields] == ["1", "2", "1", "1"]
    assert [one[6] for one in fields] == ["calm", "angry", "sad", "happy"]


def test_textgrid_has_tiers_for_each_voice(tmp_path):
    path = tmp_path / "call.TextGrid"
    path.write_text(WRITERS["textgrid"]([call()]))
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    assert grid.tierNames == (
        *("A emotion", "A confidence", "B emotion", "B confidence"),
        *("? emotion", "? confidence"),
    )
    assert [tuple(one) for one in grid.getTier("A emotion").entries] == [
        (0.5, 2.0, "calm"),
        (4.0, 5.0, "sad"),
    ]
    assert [tuple(one) for one in grid.getTier("B emotion").entries] == [(1.5, 3.25, "angry")]


def test_eaf_has_tiers_for_each_voice(tmp_path):
    path = tmp_path / "call.eaf"
    path.write_text(WRITERS["eaf"]([call({"A": "Ö & <Co>"})]))
    document = Elan.Eaf(str(path))
    assert document.get_annotation_data_for_tier("Ö & <Co> emotion") == [
        (500, 2000, "calm"),
        (4000, 5000, "sad"),
    ]
    assert document.get_parameters_for_tier("B emotion")["PARTICIPANT"] == "B"


def test_vtt_names_the_voice_of_a_cue():
    text = WRITERS["vtt"]([call({"B": "A > B & <c>"})])
    cues = webvtt.from_string(text)
    assert [cue.voice for cue in cues][:1] == ["A"]
    assert [(cue.start, cue.end) for cue in cues][:2] == [
        ("00:00:00.500", "00:00:02.000"),
        ("00:00:01.500", "00:00:03.250"),
    ]
    assert "<v A &gt; B &amp; &lt;c&gt;>angry 65%" in text


def test_audacity_labels_begin_with_the_voice():
    lines = [line.split("\t") for line in WRITERS["audacity"]([call({"B": "two\nlines"})]).splitlines()]
    assert [label for _, _, label in lines] == ["A: calm", "two lines: angry", "A: sad", "?: happy"]


def test_html_has_a_table_of_voices_and_escapes_their_names():
    text = WRITERS["html"]([call({"B": "<b>"})])
    assert "<h3>Voices</h3>" in text
    assert "60% calm, 40% sad" in text
    assert "&lt;b&gt;" in text
    assert "<h3>Voice <b>" not in text


@pytest.mark.parametrize("format_", ["rttm", "textgrid", "eaf", "vtt", "audacity"])
def test_a_person_alone_is_written_as_without_voices(format_):
    nobody = replace(alone(), voices=(), segments=tuple(replace(one, voice=None) for one in alone().segments))
    with_voice, without = (
        re.sub(r'DATE="[^"]*"', "", WRITERS[format_]([one])) for one in (alone(), nobody)
    )  # EAF has the second of writing
    assert with_voice == without
