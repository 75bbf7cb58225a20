"""Channels heard apart: which recordings are, and what comes of each channel."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
from support import SAMPLE_RATE, SHARED, syllables

from ser_core.audio import decode, faults
from ser_core.audio.channels import AUTO, EACH, MIX
from ser_core.audio.isolated import Decoder

FAULTS = SHARED / "faults"


def written(path: Path, *channels: np.ndarray, sample_rate: int = SAMPLE_RATE) -> Path:
    """A recording with `channels`, the shorter ones silent at the end."""
    longest = max(map(len, channels))
    samples = [np.pad(channel, (0, longest - len(channel))) for channel in channels]
    soundfile.write(path, np.stack(samples, axis=1), sample_rate, subtype="FLOAT")
    return path


def read(path: Path, channels: str) -> tuple[np.ndarray, list[str]]:
    warnings: list[str] = []
    return np.concatenate(list(decode.stream(path, warnings=warnings, channels=channels))), warnings


def voices(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    return syllables(count, seed=1, pitch_hz=110), syllables(count, seed=2, pitch_hz=210)


def test_each_channel_is_what_it_would_be_alone(tmp_path):
    low, high = voices()
    path = written(tmp_path / "both.wav", low, high, sample_rate=44_100)
    apart, _ = read(path, EACH)
    for number, voice in enumerate((low, high)):
        alone, _ = read(written(tmp_path / f"{number}.wav", voice, sample_rate=44_100), MIX)
        np.testing.assert_array_equal(apart[: len(alone), number], alone)


def test_channels_of_different_length_share_one_time_axis(tmp_path):
    low, high = voices()
    apart, _ = read(written(tmp_path / "both.wav", low, high[: len(high) // 2]), EACH)
    assert apart.shape == (len(low), 2)
    assert not apart[len(high) // 2 :, 1].any()


def test_eight_channels(tmp_path):
    sounds = [syllables(2, seed=seed) for seed in range(8)]
    path = written(tmp_path / "eight.wav", *sounds)
    apart, _ = read(path, EACH)
    assert apart.shape == (max(map(len, sounds)), 8)
    mixed, _ = read(path, AUTO)  # only two channels are a call recorder's
    assert mixed.ndim == 1


def test_one_channel_is_mono_however_it_is_asked_for(tmp_path):
    path = written(tmp_path / "mono.wav", voices()[0])
    for channels in (MIX, EACH, AUTO):
        assert read(path, channels)[0].ndim == 1


def test_a_call_is_heard_apart(tmp_path):
    assert read(written(tmp_path / "call.wav", *voices()), AUTO)[0].ndim == 2


def test_the_same_voice_twice_is_mixed(tmp_path):
    voice = voices()[0]
    later = np.concatenate([np.zeros(40, np.float32), 0.5 * voice])[: len(voice)]
    noise = np.random.default_rng(0).normal(0, 0.003, (2, len(voice))).astype(np.float32)
    assert read(written(tmp_path / "stereo.wav", voice + noise[0], later + noise[1]), AUTO)[0].ndim == 1


@pytest.mark.parametrize("level", [0.0, 0.002])
def test_a_channel_without_speech_is_mixed_in(tmp_path, level):
    voice = voices()[0]
    noise = np.random.default_rng(0).normal(0, 1, len(voice)) * level
    assert read(written(tmp_path / "half.wav", voice, noise.astype(np.float32)), AUTO)[0].ndim == 1


def test_inverted_channels_are_one_voice_and_said_to_cancel(tmp_path):
    voice = voices()[0]
    mixed, warnings = read(written(tmp_path / "antiphase.wav", voice, -voice), AUTO)
    assert mixed.ndim == 1
    assert warnings == [faults.CANCELLED]


def test_two_seconds_of_inversion_are_heard(tmp_path):
    voice = voices()[0][: 12 * SAMPLE_RATE]
    other = voice.copy()
    other[6 * SAMPLE_RATE : 8 * SAMPLE_RATE] *= -1
    mixed, warnings = read(written(tmp_path / "turned.wav", voice, other), MIX)
    np.testing.assert_allclose(mixed[6 * SAMPLE_RATE :], voice[6 * SAMPLE_RATE :], atol=1e-3)
    assert warnings == [faults.CANCELLED]


@pytest.mark.parametrize("hertz", [50, 60, 100])
def test_a_loud_hum_in_both_channels_hides_no_inversion(tmp_path, hertz):
    voice = voices()[0]
    hum = 0.3 * np.sin(2 * np.pi * hertz * np.arange(len(voice)) / SAMPLE_RATE).astype(np.float32)
    mixed, warnings = read(written(tmp_path / "hum.wav", 0.5 * voice + hum, hum - 0.5 * voice), MIX)
    assert warnings == [faults.CANCELLED]
    np.testing.assert_allclose(np.abs(mixed - hum), 0.5 * np.abs(voice), atol=1e-3)


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 96_000])
def test_channels_of_any_rate_that_differ_do_not_cancel(tmp_path, sample_rate):
    one, other = np.random.default_rng(0).normal(0, 0.1, (2, 5 * sample_rate)).astype(np.float32)
    assert read(written(tmp_path / "apart.wav", one, other, sample_rate=sample_rate), MIX)[1] == []
    turned = written(tmp_path / "turned.wav", one, 0.1 * other - one, sample_rate=sample_rate)
    assert read(turned, MIX)[1] == [faults.CANCELLED]


@pytest.mark.parametrize("sample_rate", [8_000, 48_000])
def test_a_mean_eight_db_below_both_channels_is_said(tmp_path, sample_rate):
    voice, *rooms = np.random.default_rng(0).normal(0, 0.1, (3, 5 * sample_rate)).astype(np.float32)
    one, other = voice + 0.69 * rooms[0], 0.69 * rooms[1] - voice
    assert 20 * np.log10((one + other).std() / 2 / one.std()) == pytest.approx(-8, abs=0.2)
    path = written(tmp_path / "weak.wav", one, other, sample_rate=sample_rate)
    assert read(path, MIX)[1] == [faults.CANCELLED]


@pytest.mark.parametrize("late_s", [0.00025, 0.0003, 0.0005, 0.002])
def test_microphones_at_a_distance_are_not_inverted(tmp_path, late_s):
    """Half a period late they cancel each other: 0.25 ms at 2 kHz."""
    voice = np.random.default_rng(0).normal(0, 0.1, 5 * 48_000)
    resonance = scipy.signal.lfilter([1], [1, -1.9 * np.cos(2 * np.pi * 2_000 / 48_000), 0.9025], voice)
    late = round(late_s * 48_000)
    channels = (resonance[late:].astype(np.float32) / 20, 0.8 * resonance[:-late].astype(np.float32) / 20)
    assert read(written(tmp_path / "apart.wav", *channels, sample_rate=48_000), MIX)[1] == []


def test_channels_that_come_and_go(tmp_path):
    blocks = [np.ones((5, count), np.float32) * np.arange(1, count + 1) for count in (2, 1, 4)]
    fitted = [decode._with_channels(block, 2) for block in blocks]
    assert [block[0].tolist() for block in fitted] == [[1, 2], [1, 0], [1, 3]]


@pytest.mark.skipif(not FAULTS.is_dir(), reason="needs the recordings of ../shared/faults")
@pytest.mark.parametrize("name", ["call_overlap.flac", "call_turns.flac", "antiphase.flac"])
def test_a_worker_gives_the_same(name):
    with Decoder() as decoder:
        for channels in (MIX, EACH, AUTO):
            here, there = [
                np.concatenate(list(stream(FAULTS / name, channels=channels)))
                for stream in (decode.stream, decoder.stream)
            ]
            np.testing.assert_array_equal(here, there)
            if channels == AUTO:
                assert here.ndim == (1 if name == "antiphase.flac" else 2)
