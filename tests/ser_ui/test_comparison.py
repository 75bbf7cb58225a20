"""Agreement of several models, and the table of their results."""

import csv
import io
import json
from dataclasses import replace

import pytest

from ser_core.analysis import Analysis, make_segment, summarise
from ser_ui import comparison, text
from ser_ui.comparison import DIFFERENT, SAME, UNSURE, agreement
from ser_ui.words import PHRASES

ENGLISH = PHRASES["en"]
LABELS = ("angry", "sad", "happy")


def analysis(model: str, *labels: str, source: str = "a.wav") -> Analysis:
    """One segment of a second for each label, two seconds apart."""
    segments = []
    for index, label in enumerate(labels):
        shares = (
            dict.fromkeys(LABELS, 0.05) | {label: 0.9} if label in LABELS else dict.fromkeys(LABELS, 1 / 3)
        )
        segments.append(make_segment(2.0 * index, 2.0 * index + 1.0, shares, threshold=0.5))
    return Analysis(source, 9.0, model, "1", None, tuple(segments), summarise(segments, 0.5))


@pytest.mark.parametrize(
    ("labels", "kind", "most_say"),
    [
        (["sad"], SAME, "sad"),
        (["sad", "sad"], SAME, "sad"),
        (["sad", "unknown"], UNSURE, "sad"),
        (["unknown", "unknown"], UNSURE, ""),
        (["sad", "angry"], DIFFERENT, ""),
        (["sad", "angry", "sad"], DIFFERENT, "sad"),
        (["sad", "angry", "unknown"], DIFFERENT, ""),
        (["no_speech", "no_speech"], SAME, "no_speech"),
    ],
)
def test_models_agree_differ_or_are_not_sure(labels, kind, most_say):
    for order in (labels, labels[::-1]):
        assert agreement(order) == comparison.Agreement(kind, most_say)


def test_each_segment_is_compared_by_itself():
    agreements = comparison.agreements(
        [analysis("a", "sad", "sad", "sad"), analysis("b", "sad", "angry", "unknown")]
    )
    assert [one.kind for one in agreements] == [SAME, DIFFERENT, UNSURE]


def test_models_that_heard_other_segments_are_not_compared():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        comparison.agreements([analysis("a", "sad", "sad"), analysis("b", "sad")])


def test_the_table_has_a_row_a_segment_and_two_columns_a_model():
    analyses = [analysis("a", "sad", "happy", source="=x.wav"), analysis("-b", "sad", "angry")]
    first, second = csv.DictReader(io.StringIO(comparison.dumps(analyses)))
    assert (first["agreement"], first["most_say"]) == ("same", "sad")
    assert (second["start"], second["end"], second["agreement"]) == ("2.000", "3.000", "different")
    assert (second["a label"], second["a confidence"], second["'-b label"]) == ("happy", "0.9000", "angry")
    assert first["source"] == "'=x.wav"  # no formula


def test_the_json_holds_each_models_whole_analysis():
    analyses = [analysis("a", "sad"), replace(analysis("b", "sad"), model_version="2")]
    entries = json.loads(comparison.FORMATS["json"](analyses))
    assert [entry["model"] for entry in entries] == [
        {"name": "a", "version": "1"},
        {"name": "b", "version": "2"},
    ]


@pytest.mark.parametrize(
    ("labels", "others", "headline"),
    [
        (("sad",) * 9, ("sad",) * 7 + ("angry",) * 2, "They agree on 7 of 9 segments"),
        (("sad",) * 3, ("sad",) * 3, "They agree on all 3 segments"),
        (("sad",) * 3, ("angry",) * 3, "They agree on none of 3 segments"),
        (("sad",), ("sad",), "They agree"),
        (("sad",), ("unknown",), "They do not agree"),
        ((), (), "No speech found"),
    ],
)
def test_the_page_says_on_how_much_they_agree(labels, others, headline):
    markup = text.comparison([analysis("a", *labels), analysis("b", *others)], ENGLISH)
    assert f"<h2>{headline}</h2>" in markup


def test_the_page_says_what_they_do_where_they_do_not_agree():
    markup = text.comparison(
        [analysis("a", "sad", "sad", "sad"), analysis("b", "angry", "angry", "unknown")], ENGLISH
    )
    assert "On 2 they name different emotions (≠), on 1 not all of them are sure (?)." in markup


def test_a_file_name_is_never_markup():
    analyses = [analysis(model, "sad", source="<img src=x>&'.wav") for model in ("<b>a", "b")]
    markup = text.comparison(analyses, ENGLISH)
    assert "<img" not in markup
    assert "<b>" not in markup
    assert "&lt;b&gt;a 1, b 1" in markup


def test_one_answer_is_no_comparison():
    assert 'role="alert"' in text.comparison([analysis("a", "sad")], ENGLISH)
