"""What a page draws a recording from: small whatever the length, and nothing is missed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import SAMPLE_RATE

from ser_core.audio.waveform import Waveform
from ser_core.pictures import overview
from ser_core.recognition.explain import Saliency


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE).astype(np.float32)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200))
def test_an_outline_keeps_the_loudest_sample(samples):
    outline = overview.outline(Waveform(np.array(samples, np.float32)))
    assert outline.peak == pytest.approx(np.abs(samples).max())
    if outline.peak > 1e-3:
        assert max(outline.highs.max(), -outline.lows.min()) == overview.FULL_SCALE


def test_an_outline_of_an_hour_is_small_and_shows_a_click():
    samples = np.zeros(3600 * SAMPLE_RATE, np.float32)
    samples[1800 * SAMPLE_RATE] = 0.5
    outline = overview.outline(Waveform(samples))
    assert len(outline.highs) <= overview.MAX_PEAKS
    assert np.flatnonzero(outline.highs)[0] / outline.per_second == pytest.approx(1800, abs=0.02)


def test_nothing_has_no_outline():
    with pytest.raises(ValueError, match="empty"):
        overview.outline(Waveform(np.zeros(0, np.float32)))


@pytest.mark.parametrize("hz", [300, 1000, 4000])
def test_a_tone_is_the_brightest_band_at_its_frequency(hz):
    levels = overview.log_mel(Waveform(tone(hz)))
    assert levels.shape == (overview.MEL_BANDS, 100)
    brightest = overview.band_hz()[levels[:, 50].argmax()]
    assert brightest == pytest.approx(hz, rel=0.09)


def test_a_long_recording_gets_wider_columns_and_loses_no_sound():
    samples = np.full(600 * SAMPLE_RATE, 1e-4, np.float32)
    click = 300 * SAMPLE_RATE + 77
    samples[click : click + 80] = tone(2000, 0.005)
    levels = overview.log_mel(Waveform(np.concatenate([samples] * 2)))
    assert levels.shape[1] <= overview.MAX_COLUMNS
    columns = np.flatnonzero(levels.max(axis=0) > 200) / levels.shape[1] * 1200
    assert columns[0] == pytest.approx(300, abs=0.2)
    assert columns[-1] == pytest.approx(900, abs=0.2)


@pytest.mark.parametrize("count", [1, 159, 160, 161, 1000])
def test_the_shortest_sounds_have_columns(count):
    assert overview.log_mel(Waveform(np.ones(count, np.float32))).shape[1] == -(-count // 160)


def test_what_spoke_for_the_label_is_orange_and_against_it_blue():
    values = np.zeros((80, 100), np.float32)
    values[10:30, 20:40] = 1.0
    values[50:70, 60:80] = -1.0
    hz = np.linspace(0, 8000, 80, dtype=np.float32)
    saliency = Saliency(values, hz, np.arange(100, dtype=np.float32) / 100, "sad", 0.9)
    picture = overview.saliency(Waveform(tone(440)), saliency).astype(int)

    def band(row):
        return np.abs(overview.band_hz() - hz[row]).argmin()

    red, _, blue = picture[band(20), 30]
    assert red > blue + 100
    red, _, blue = picture[band(60), 70]
    assert blue > red + 100
    red, green, blue = picture[band(60), 5]
    assert red == green == blue  # nothing spoke here
