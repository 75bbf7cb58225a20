from pathlib import Path

import numpy as np
import pytest
import soxr
from bad_inputs import tone, with_soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ser_core.audio.decode import decode
from ser_core.audio.quality import Quality, QualityMeter, measure
from ser_core.audio.waveform import SAMPLE_RATE, Waveform

Samples = NDArray[np.float32]


def speechlike(seconds: float = 4.0) -> Samples:
    """Broadband bursts of 0.3 s with pauses between, peak 0.5, noise 50 dB below."""
    rng = np.random.default_rng(0)
    n = round(seconds * SAMPLE_RATE)
    bursts = np.arange(n) % round(0.6 * SAMPLE_RATE) < round(0.3 * SAMPLE_RATE)
    samples = rng.uniform(-0.5, 0.5, n) * np.where(bursts, 1.0, 10 ** (-50 / 20))
    return samples.astype(np.float32)


def kinds(quality: Quality) -> list[str]:
    return [warning.split(":")[0] for warning in quality.warnings]


def low_passed(samples: Samples, hz: int) -> Samples:
    taps = np.arange(-400, 401)
    kernel = np.sinc(2 * hz / SAMPLE_RATE * taps) * np.blackman(801)
    return np.convolve(samples, kernel / kernel.sum(), "same").astype(np.float32)


def noisy(samples: Samples) -> Samples:
    """`samples` with white noise of the same power."""
    noise = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt(np.mean(samples**2))
    return (samples + noise).clip(-1, 1).astype(np.float32)


def driven(samples: Samples) -> Samples:
    """`samples` 20 dB louder than full scale holds."""
    return (10 * samples / np.abs(samples).max()).clip(-1, 1)


DEGRADED = {
    "Clipped": driven,
    "Noisy": noisy,
    "Telephone band": lambda samples: low_passed(samples, 3400),
    "Very quiet": lambda samples: samples * np.float32(10 ** (-50 / 20)),
}


# --- The numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak_dbfs", [0.0, -6.0, -40.0, -90.0])
def test_the_peak_is_measured_against_full_scale(peak_dbfs: float) -> None:
    assert measure(Waveform(tone(level=10 ** (peak_dbfs / 20)))).peak_dbfs == pytest.approx(
        peak_dbfs, abs=0.1
    )


def test_digital_silence_is_the_floor_and_is_called_silent() -> None:
    quality = measure(Waveform(np.zeros(SAMPLE_RATE, np.float32)))
    assert (quality.peak_dbfs, quality.clipped, quality.bandwidth_hz) == (-120.0, 0.0, 0)
    assert kinds(quality) == ["Silent"]


def test_the_clipped_share_counts_samples_in_runs_at_full_scale() -> None:
    samples = np.zeros(48_000, np.float32)
    samples[1000:1100] = 1.0
    samples[5000:5100] = -1.0
    assert measure(Waveform(samples)).clipped == pytest.approx(200 / 48_000, abs=1e-5)


def test_a_single_full_peak_is_not_clipping() -> None:
    samples = speechlike()
    samples[[100, 101, 5000, 9000]] = 1.0
    assert measure(Waveform(samples)).clipped == 0.0


@pytest.mark.parametrize("snr_db", [0, 6, 12, 20, 40])
def test_the_snr_of_bursts_in_noise_is_found(snr_db: int) -> None:
    rng = np.random.default_rng(0)
    n = 20 * SAMPLE_RATE
    bursts = np.arange(n) // SAMPLE_RATE % 2
    speech, noise = rng.standard_normal((2, n)) * 0.05
    samples = bursts * speech * 10 ** (snr_db / 20) + noise
    samples *= 0.5 / np.abs(samples).max()
    assert measure(Waveform(samples.astype(np.float32))).snr_db == pytest.approx(snr_db, abs=1.5)


@pytest.mark.parametrize("hz", [1000, 2500, 3400, 5000, 7000])
def test_the_bandwidth_is_where_the_energy_ends(hz: int) -> None:
    quality = measure(Waveform(low_passed(speechlike(), hz)))
    assert hz <= quality.bandwidth_hz <= hz + 200  # the skirts of the filter and of the window


def test_full_band_reaches_half_the_sample_rate() -> None:
    assert measure(Waveform(speechlike())).bandwidth_hz == 8000


# --- Blocks ----------------------------------------------------------------------------------------------


@given(
    samples=arrays(np.float32, st.integers(0, 3000), elements=st.floats(-1, 1, width=32)),
    cuts=st.lists(st.integers(0, 3000), max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_where_blocks_are_cut_changes_nothing(samples: Samples, cuts: list[int]) -> None:
    meter = QualityMeter()
    for block in np.split(samples, sorted(cuts)):
        meter.push(block)
    assert meter.report() == measure(Waveform(samples))


@given(samples=arrays(np.float32, st.integers(0, 3000), elements=st.floats(-1, 1, width=32)))
@settings(max_examples=100, deadline=None)
def test_every_number_stays_in_its_range(samples: Samples) -> None:
    quality = measure(Waveform(samples))
    assert -120 <= quality.peak_dbfs <= 0
    assert 0 <= quality.clipped <= 1
    assert 0 <= quality.snr_db <= 80
    assert 0 <= quality.bandwidth_hz <= 8000


# --- The warnings ----------------------------------------------------------------------------------------


def test_a_good_recording_gets_no_warning() -> None:
    assert measure(Waveform(speechlike())).warnings == ()


@pytest.mark.parametrize("kind", DEGRADED)
def test_each_degradation_gets_its_own_warning_and_no_other(kind: str) -> None:
    quality = measure(Waveform(DEGRADED[kind](speechlike())))
    assert kinds(quality) == [kind]
    assert quality.warnings[0].count(". ") + quality.warnings[0].endswith(".") >= 1


def test_clipping_at_48_khz_survives_resampling() -> None:
    at_48_khz = driven(soxr.resample(speechlike(), SAMPLE_RATE, 48_000))
    assert kinds(measure(decode(with_soundfile(at_48_khz, "WAV", rate=48_000)))) == ["Clipped"]


def test_a_call_at_8_khz_is_called_telephone_band() -> None:
    call = decode(with_soundfile(speechlike()[::2], "WAV", rate=8000))
    assert kinds(measure(call)) == ["Telephone band"]


@pytest.fixture(scope="module")
def clean_clips(shared_data: Path) -> list[Waveform]:
    """40 clips over all actors and emotions of RAVDESS."""
    return [decode(path) for path in sorted(shared_data.glob("ravdess/*/*.flac"))[3::36]]


def test_clean_speech_gets_no_warning(clean_clips: list[Waveform]) -> None:
    warned = [quality for quality in map(measure, clean_clips) if quality.warnings]
    assert len(warned) <= 1, warned


@pytest.mark.parametrize("kind", DEGRADED)
def test_degraded_speech_gets_the_right_warning(clean_clips: list[Waveform], kind: str) -> None:
    right = [kind in kinds(measure(Waveform(DEGRADED[kind](clip.samples)))) for clip in clean_clips]
    assert np.mean(right) >= 0.95


def test_a_real_call_is_called_telephone_band(shared_data: Path) -> None:
    assert kinds(measure(decode(shared_data / "vad" / "pyannote_sample.flac"))) == ["Telephone band"]
