"""Figures show what the analysis says, in words and in the right place."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from contrast import READABLE, contrast
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import QuadMesh

from ser_core import plots
from ser_core.analysis import Verdict, make_segment
from ser_core.audio import SAMPLE_RATE, Waveform
from ser_core.emotions import LABELS, UNKNOWN_COLOR, color_of


def probabilities(label: str, confidence: float = 0.9) -> dict[str, float]:
    rest = (1 - confidence) / (len(LABELS) - 1)
    return {name: confidence if name == label else rest for name in LABELS}


@pytest.fixture
def tone() -> Waveform:
    """Ten seconds of 1 kHz."""
    time = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    return Waveform((0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32))


@pytest.fixture
def segments():
    return [
        make_segment(1.0, 3.0, probabilities("angry"), 0.4),
        make_segment(4.0, 4.8, probabilities("sad"), 0.4),
        make_segment(6.0, 6.02, probabilities("calm", 0.2), 0.4),
    ]


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=5000))
def test_an_envelope_keeps_every_extreme_in_a_bounded_size(samples):
    outline = plots.envelope(Waveform(np.array(samples, np.float32)))
    assert len(outline.lows) == len(outline.highs) <= plots.ENVELOPE_COLUMNS
    assert outline.lows.min() == min(samples)
    assert outline.highs.max() == max(samples)


def test_an_empty_waveform_has_no_envelope():
    with pytest.raises(ValueError, match="empty"):
        plots.envelope(Waveform(np.zeros(0, np.float32)))


def test_a_segment_is_named_above_its_stretch(tone, segments):
    figure = plots.waveform_figure(plots.envelope(tone), segments, width=1000)
    name = next(text for text in figure.axes[0].texts if text.get_text() == "1 angry")
    assert name.get_position()[0] == pytest.approx(2.0)


def test_a_short_segment_is_numbered_and_a_tiny_one_is_left_to_the_table(tone, segments):
    assert words(plots.waveform_figure(plots.envelope(tone), segments, width=400)) == ["1 angry", "2"]


def test_a_timeline_names_each_segment_and_draws_its_valence_and_arousal(segments):
    figure = plots.timeline_figure(segments, 10.0, width=1000)
    assert words(figure) == ["1 angry", "2 sad"]
    drawn = [(*line.get_xdata(), *set(line.get_ydata())) for line in figure.axes[0].lines]
    expected = [(s.start, s.end, value) for s in segments for value in (s.valence, s.arousal)]
    assert drawn == [pytest.approx(row) for row in expected]
    assert figure.axes[0].get_xlim() == (0.0, 10.0)


def test_the_chosen_segment_is_framed(tone, segments):
    axes = plots.waveform_figure(plots.envelope(tone), segments, chosen=1).axes[0]
    (frame,) = [patch for patch in axes.patches if not patch.get_fill()]
    assert (frame.get_x(), frame.get_width()) == pytest.approx((4.0, 0.8))


def test_the_chosen_segment_is_named_even_where_its_name_does_not_fit(tone, segments):
    figure = plots.waveform_figure(plots.envelope(tone), segments, chosen=2, width=400)
    assert words(figure) == ["1 angry", "2", "3 unknown"]


def test_a_chosen_name_stays_inside_the_figure(tone):
    edge = [make_segment(9.95, 10.0, probabilities("surprised"), 0.4)]
    figure = plots.waveform_figure(plots.envelope(tone), edge, chosen=0, width=400)
    box = figure.axes[0].texts[0].get_window_extent()
    assert box.x1 <= 400


def test_marks_of_many_short_segments_do_not_hide_the_spectrogram(tone):
    crowd = [make_segment(i / 20, i / 20 + 0.04, probabilities("sad"), 0.4) for i in range(200)]
    assert not plots.log_mel_figure(tone, crowd, width=1000).axes[0].lines


def test_stacked_panels_share_their_time_axis(tone, segments):
    upper = plots.waveform_figure(plots.envelope(tone), segments, width=700).axes[0]
    lower = plots.log_mel_figure(tone, segments, width=700).axes[0]
    assert upper.get_xlim() == lower.get_xlim() == (0.0, 10.0)
    assert upper.get_position().intervalx == pytest.approx(lower.get_position().intervalx)
    assert list(upper.get_xticks()) == list(lower.get_xticks())


def test_a_tone_lies_at_its_frequency_on_the_mel_axis(tone):
    axes = plots.log_mel_figure(tone, []).axes[0]
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    loudest = mesh.get_array().mean(axis=1).argmax()
    low, high = mesh.get_coordinates()[loudest : loudest + 2, 0, 1]
    assert low < 1000 < high


def test_a_long_recording_is_drawn_with_a_bounded_number_of_frames():
    axes = plots.log_mel_figure(Waveform(np.zeros(600 * SAMPLE_RATE, np.float32)), []).axes[0]
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    assert mesh.get_array().shape[1] <= plots.MAX_FRAMES + 1
    assert axes.get_xlim() == (0.0, 600.0)


def test_silence_and_a_tenth_of_a_second_can_be_drawn():
    silence = Waveform(np.zeros(SAMPLE_RATE // 10, np.float32))
    plots.waveform_figure(plots.envelope(silence), [])
    (mesh, *_) = plots.log_mel_figure(silence, []).axes[0].collections
    assert np.isfinite(mesh.get_array()).all()


def test_time_is_labelled_in_seconds_and_from_a_minute_on_in_minutes(tone):
    minutes = Waveform(np.zeros(200 * SAMPLE_RATE, np.float32))
    labels = []
    for waveform in (tone, minutes):
        axes = plots.waveform_figure(plots.envelope(waveform), [], width=700).axes[0]
        labels.append(axes.xaxis.get_major_formatter().format_ticks(axes.get_xticks()))
    assert labels[0][1:4] == ["0", "2", "4"]
    assert labels[1][1:4] == ["0:00", "0:30", "1:00"]


def test_bars_name_every_class_of_the_model_and_its_share():
    found = Verdict("sad", 0.7, {"sad": 0.7, "neutral": 0.1, "happy": 0.2})
    assert words(plots.probability_figure(found)) == ["neutral", "10%", "happy", "20%", "sad", "70%"]


def test_the_most_probable_emotion_stands_out_in_bold():
    figure = plots.probability_figure(Verdict("sad", 0.7, {"sad": 0.7, "happy": 0.3}))
    assert {t.get_text() for t in figure.axes[0].texts if t.get_fontweight() == "bold"} == {"sad", "70%"}


@pytest.mark.parametrize("color", [*map(color_of, LABELS), UNKNOWN_COLOR])
def test_a_name_can_be_read_on_its_segments_colour(color):
    assert contrast(plots._readable_on(color), color) >= READABLE


def test_drawing_leaves_no_trace_in_pyplot(tone, segments):
    plots.log_mel_figure(tone, segments)
    plots.waveform_figure(plots.envelope(tone), segments)
    plots.probability_figure(segments[0])
    assert plt.get_fignums() == []
