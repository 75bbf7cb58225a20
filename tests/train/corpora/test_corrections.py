"""Corrections exported from the page are a corpus with the same segments, emotions and sound."""

import csv
import io

import numpy as np
import pytest
from support import SAMPLE_RATE, syllables, write_wav

from ser_core.analysis import Analysis, make_segment, summarise
from ser_core.audio.quality import Quality
from ser_ui.corrections import CorrectionError, apply, dumps, parse
from train.corpora import read_corpus
from train.corpora.splits import from_file
from train.data.cache import FeatureCache
from train.data.speech import speech_of

THRESHOLD = 0.5
SEGMENTS = tuple(
    make_segment(start, start + 1.0, {"angry": angry, "sad": 1 - angry}, THRESHOLD)
    for start, angry in ((0.5, 0.9), (2.0, 0.2), (4.0, 0.6))
)
ANALYSIS = Analysis(
    "=a.wav", 6.0, "default", "1", Quality(-3, 0, 24, 8000, ()), SEGMENTS, summarise(SEGMENTS, THRESHOLD)
)


def correction(start: float, end: float, label: str, *of: int, checked: bool = True) -> dict:
    return {"start": start, "end": end, "label": label, "of": list(of), "checked": checked}


def table(*segments: dict) -> str:
    return dumps(ANALYSIS.source, parse(ANALYSIS, segments, THRESHOLD))


def test_what_was_checked_becomes_a_corpus_of_stretches(tmp_path):
    sound = syllables(4)
    write_wav(tmp_path / "=a.wav", sound)
    text = table(
        correction(0.55, 1.4, "fearful", 0),
        correction(2.0, 3.0, "sad", 1, checked=False),
        correction(4.0, 4.5, "unknown", 2),
        correction(4.5, 5.0, "angry", 2),
    )
    (tmp_path / "checked.csv").write_text(text, newline="")
    first, second = read_corpus(tmp_path / "checked.csv")
    assert (first.emotion, first.stretch_s) == ("fearful", (0.55, 1.4))
    assert (second.emotion, second.stretch_s) == ("angry", (4.5, 5.0))
    write_wav(tmp_path / "cut.wav", sound[round(0.55 * SAMPLE_RATE) : round(1.4 * SAMPLE_RATE)])
    (speech,) = FeatureCache().speech([first])
    alone = speech_of((tmp_path / "cut.wav").read_bytes())
    np.testing.assert_allclose(speech, alone, atol=16)  # of 32 767: the cut was rounded to 16 bits


def test_stretches_of_one_file_can_be_named_in_a_split(tmp_path):
    write_wav(tmp_path / "=a.wav", syllables(4))
    (tmp_path / "mine.csv").write_text(
        table(correction(0.5, 1.5, "sad", 0), correction(2.0, 3.0, "sad", 1)), newline=""
    )
    clips = read_corpus(tmp_path / "mine.csv")
    rows = "".join(f'train,"{clip.file}"\n' for clip in clips)
    (tmp_path / "split.csv").write_text(f"part,file\n{rows}")
    assert from_file(clips, tmp_path / "split.csv").train == tuple(clips)


def test_a_spreadsheet_computes_no_name():
    [row] = csv.DictReader(io.StringIO(table(correction(0.5, 1.5, "sad", 0)), newline=""))
    assert row["file"] == "./=a.wav"


def test_results_are_what_the_person_left():
    corrected_segments = parse(
        ANALYSIS, [correction(4.0, 5.0, "happy", 2), correction(0.5, 3.0, "angry", 0, 1)], THRESHOLD
    )
    result = apply(ANALYSIS, corrected_segments, THRESHOLD)
    merged, named = result.segments
    assert (merged.start, merged.end, merged.label) == (0.5, 3.0, "angry")
    assert merged.probabilities["angry"] == pytest.approx(0.55)  # the mean of both, equally long
    assert (named.label, named.probabilities) == ("happy", SEGMENTS[2].probabilities)
    assert result.summary.probabilities["angry"] == pytest.approx((2.5 * 0.55 + 0.6) / 3.5)


def test_uncorrected_results_are_the_models():
    same = [correction(s.start, s.end, s.label, i, checked=False) for i, s in enumerate(SEGMENTS)]
    result = apply(ANALYSIS, parse(ANALYSIS, same, THRESHOLD), THRESHOLD)
    assert [s.label for s in result.segments] == [s.label for s in SEGMENTS]
    for one, other in zip(result.segments, SEGMENTS, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities)
        assert (one.valence, one.arousal) == pytest.approx((other.valence, other.arousal))


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        [None],
        [{}],
        [correction(1.0, 0.5, "sad", 0)],
        [correction(0.0, 60.0, "sad", 0)],
        [correction(float("nan"), 1.0, "sad", 0)],
        [correction(0.0, 1.0, "<b>", 0)],
        [correction(0.0, 1.0, "sad")],
        [correction(0.0, 1.0, "sad", 7)],
        [correction(0.0, 1.0, "sad", -1)],
    ],
)
def test_anything_else_a_page_sends_is_refused(nonsense):
    with pytest.raises(CorrectionError):
        parse(ANALYSIS, nonsense, THRESHOLD)
