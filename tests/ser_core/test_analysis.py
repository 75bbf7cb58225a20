"""Verdicts, affect and the summary of a recording."""

import pytest

from ser_core.analysis import make_segment, summarise, verdict
from ser_core.emotions import EMOTIONS, LABELS, canonical


def certain(label: str) -> dict[str, float]:
    return {name: float(name == label) for name in LABELS}


def test_low_confidence_is_unknown():
    probabilities = dict.fromkeys(LABELS, 0.1) | {"happy": 0.3}
    assert verdict(probabilities, threshold=0.5).label == "unknown"
    assert verdict(probabilities, threshold=0.2).label == "happy"
    assert verdict(probabilities, threshold=0.5).confidence == 0.3


@pytest.mark.parametrize("emotion", EMOTIONS, ids=lambda emotion: emotion.name)
def test_valence_and_arousal_of_a_certain_segment_are_the_tables(emotion):
    segment = make_segment(0.0, 1.0, certain(emotion.name), threshold=0.5)
    assert (segment.valence, segment.arousal) == (emotion.valence, emotion.arousal)
    assert -1 <= segment.valence <= 1
    assert -1 <= segment.arousal <= 1


def test_the_summary_weighs_segments_by_duration():
    segments = [make_segment(0, 3, certain("sad"), 0.5), make_segment(4, 5, certain("happy"), 0.5)]
    summary = summarise(segments, threshold=0.5)
    assert summary.label == "sad"
    assert summary.probabilities["sad"] == pytest.approx(0.75)
    assert sum(summary.probabilities.values()) == pytest.approx(1)


def test_no_segments_are_no_speech():
    summary = summarise([], threshold=0.5)
    assert (summary.label, summary.probabilities) == ("no_speech", {})


def test_corpus_names_map_to_ours():
    labels = [canonical(name) for name in ("Fear", "joy", "pleasant_surprise")]
    assert labels == ["fearful", "happy", "surprised"]
    with pytest.raises(ValueError, match="'boredom'"):
        canonical("boredom")
