"""Figures show what the analysis says, in words and in the right place."""

import matplotlib.pyplot as plt
import pytest
from contrast import READABLE, contrast

from ser_core.analysis import Verdict, make_segment
from ser_core.emotions import LABELS, UNKNOWN_COLOR, color_of
from ser_core.pictures import plots


def probabilities(label: str, confidence: float = 0.9) -> dict[str, float]:
    rest = (1 - confidence) / (len(LABELS) - 1)
    return {name: confidence if name == label else rest for name in LABELS}


@pytest.fixture
def segments():
    return [
        make_segment(1.0, 3.0, probabilities("angry"), 0.4),
        make_segment(4.0, 4.8, probabilities("sad"), 0.4),
        make_segment(6.0, 6.02, probabilities("calm", 0.2), 0.4),
    ]


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_a_segment_is_named_above_its_stretch(segments):
    figure = plots.timeline_figure(segments, 10.0, width=1000)
    name = next(text for text in figure.axes[0].texts if text.get_text() == "1 angry")
    assert name.get_position()[0] == pytest.approx(2.0)


def test_a_short_segment_is_numbered_and_a_tiny_one_is_left_to_the_table(segments):
    assert words(plots.timeline_figure(segments, 10.0, width=400)) == ["1 angry", "2"]


def test_a_timeline_names_each_segment_and_draws_its_valence_and_arousal(segments):
    figure = plots.timeline_figure(segments, 10.0, width=1000)
    assert words(figure) == ["1 angry", "2 sad"]
    drawn = [(*line.get_xdata(), *set(line.get_ydata())) for line in figure.axes[0].lines]
    expected = [(s.start, s.end, value) for s in segments for value in (s.valence, s.arousal)]
    assert drawn == [pytest.approx(row) for row in expected]
    assert figure.axes[0].get_xlim() == (0.0, 10.0)


def test_time_is_labelled_in_seconds_and_from_a_minute_on_in_minutes():
    labels = []
    for duration_s in (10.0, 200.0):
        axes = plots.timeline_figure([], duration_s, width=700).axes[0]
        labels.append(axes.xaxis.get_major_formatter().format_ticks(axes.get_xticks()))
    assert labels[0][1:4] == ["0", "2", "4"]
    assert labels[1][1:4] == ["0:00", "0:30", "1:00"]


def test_bars_name_every_class_of_the_model_and_its_share():
    verdict = Verdict("sad", 0.7, {"sad": 0.7, "neutral": 0.1, "happy": 0.2})
    assert words(plots.probability_figure(verdict)) == ["neutral", "10%", "happy", "20%", "sad", "70%"]


def test_the_most_probable_emotion_stands_out_in_bold():
    figure = plots.probability_figure(Verdict("sad", 0.7, {"sad": 0.7, "happy": 0.3}))
    assert {t.get_text() for t in figure.axes[0].texts if t.get_fontweight() == "bold"} == {"sad", "70%"}


@pytest.mark.parametrize("color", [*map(color_of, LABELS), UNKNOWN_COLOR])
def test_a_name_can_be_read_on_its_segments_colour(color):
    assert contrast(plots._readable_on(color), color) >= READABLE


def test_drawing_leaves_no_trace_in_pyplot(segments):
    plots.timeline_figure(segments, 10.0)
    plots.probability_figure(segments[0])
    assert plt.get_fignums() == []
