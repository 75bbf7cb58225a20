"""An explanation points at what the model heard, and at nothing where there is nothing."""

import numpy as np
import pytest
import torch
from conftest import SHARED
from scipy.stats import spearmanr
from support import SAMPLE_RATE, random_bundle, syllables

from ser_core.audio.decode import decode
from ser_core.audio.vad import segment
from ser_core.audio.waveform import Waveform
from ser_core.pictures.plots import saliency_figure
from ser_core.recognition.explain import (
    REGION_BANDS,
    ExplainError,
    Saliency,
    explain,
    log_mel_rows,
    top_region,
)
from ser_core.recognition.recognizer import Recognizer

FRAMES = 10  # of a deleted region, 0.1 s
SHARE = 0.1  # of the spectrogram that is deleted
CLIPS = ("Actor_05/03-01-05-02-02-02-05", "Actor_20/03-01-04-02-01-02-20", "Actor_17/03-01-08-01-02-01-17")


@pytest.fixture(scope="module")
def default() -> Recognizer:
    return Recognizer.load(device="cpu")


@pytest.fixture(scope="module")
def stretches() -> list[np.ndarray]:
    """Speech: real clips where they are at hand, generated vowels elsewhere."""
    folder = SHARED / "data" / "ravdess"
    if not folder.is_dir():
        return [syllables(2, seed=seed)[SAMPLE_RATE // 2 :][: 2 * SAMPLE_RATE] for seed in range(3)]
    waveforms = [decode(folder / f"{name}.flac") for name in CLIPS]
    spans = [segment(waveform)[0] for waveform in waveforms]
    return [w.samples[s.start : s.end] for w, s in zip(waveforms, spans, strict=True)]


@pytest.fixture(scope="module")
def maps(default, stretches) -> list[Saliency]:
    return [explain(default, samples) for samples in stretches]


def probability_without(recognizer, samples, label, chosen: np.ndarray) -> float:
    """Of `label` with the cells `chosen` `(band, frame)` replaced by their band's mean over the utterance."""
    runtime = recognizer.runtime
    chosen = chosen[log_mel_rows(recognizer.bundle.features)]
    features, n_frames = runtime.extract(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    mean = features.mean(-1, keepdim=True).expand_as(features)
    with torch.inference_mode():
        logits = runtime.model(torch.where(torch.from_numpy(chosen), mean, features), n_frames)
    row = (logits / recognizer.bundle.temperature).softmax(-1)[0]
    return float(row[recognizer.bundle.labels.index(label)])


def tiles(shape: tuple[int, int]) -> np.ndarray:
    """The number of the region each cell belongs to."""
    rows, columns = np.indices(shape) // np.array([REGION_BANDS, FRAMES])[:, None, None]
    return rows * (columns.max() + 1) + columns


def test_deleting_what_spoke_for_the_label_costs_more_than_deleting_as_much_at_random(
    default, stretches, maps
):
    rng = np.random.default_rng(0)
    drops = []
    for samples, saliency in zip(stretches, maps, strict=True):
        tile = tiles(saliency.values.shape)
        sums = np.bincount(tile.ravel(), saliency.values.ravel())
        count = round(SHARE * len(sums))
        by_chance = [rng.choice(len(sums), count, replace=False) for _ in range(4)]
        choices = [np.argsort(sums)[-count:], *by_chance]
        left = [
            probability_without(default, samples, saliency.label, np.isin(tile, chosen)) for chosen in choices
        ]
        drops.append((saliency.probability - left[0], saliency.probability - np.mean(left[1:])))
    top, random = np.mean(drops, axis=0)
    assert top > 2 * random
    assert top > 0.02


def test_random_weights_give_another_map(default, stretches, maps, tmp_path):
    stranger = Recognizer.load(random_bundle(tmp_path, default.bundle.architecture), "cpu")
    for samples, saliency in zip(stretches, maps, strict=True):
        other = explain(stranger, samples, saliency.label)
        assert abs(spearmanr(other.values.ravel(), saliency.values.ravel()).statistic) < 0.3


def test_the_map_is_the_same_each_time(default, stretches, maps):
    assert explain(default, stretches[0]).values == pytest.approx(maps[0].values, abs=1e-6)


def test_silence_gets_no_explanation(default):
    saliency = explain(default, np.zeros(SAMPLE_RATE, np.float32))
    assert not saliency.values.any()
    assert top_region(saliency) is None


def test_a_label_is_the_most_probable_one_unless_it_is_named(default, stretches, maps):
    row = default.probabilities([stretches[0]])[0]
    assert maps[0].label == default.bundle.labels[row.argmax()]
    assert maps[0].probability == pytest.approx(row.max())
    assert explain(default, stretches[0], "calm").probability == pytest.approx(row[1], abs=1e-4)


def test_bands_and_frames_lie_where_the_features_lie(default, maps, stretches):
    """A tone's energy is in the band with the nearest centre."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    features, _ = default.runtime.extract(torch.from_numpy(tone)[None], torch.tensor([len(tone)]))
    saliency = maps[0]
    assert np.abs(saliency.band_hz - 1000).argmin() == features[0].mean(-1).argmax()
    assert len(saliency.time_s) == saliency.values.shape[1] == len(stretches[0]) // 160
    assert np.diff(saliency.time_s) == pytest.approx(0.01, abs=1e-4)


def test_a_stretch_longer_than_the_window_is_explained_in_its_parts(tmp_path):
    recognizer = Recognizer.load(random_bundle(tmp_path, window_s=1.0), "cpu")
    sound = syllables(4)[: 3 * SAMPLE_RATE]
    saliency = explain(recognizer, sound, "sad")
    parts = [explain(recognizer, part, "sad") for part in np.split(sound, 3)]
    assert saliency.values == pytest.approx(np.concatenate([p.values for p in parts], axis=1) / 3, abs=1e-6)
    assert saliency.probability == pytest.approx(np.mean([p.probability for p in parts]), abs=1e-4)
    assert saliency.time_s[parts[0].values.shape[1]] == pytest.approx(1.0)


def test_what_cannot_be_explained_says_why(default, tmp_path):
    speech = syllables(1)
    mfcc = Recognizer.load(random_bundle(tmp_path, "parallel_2cnn_transformer"), "cpu")
    for recognizer, samples, label, code in [
        (mfcc, speech, None, "no_spectrogram"),
        (default, speech, "bored", "unknown_label"),
        (default, speech[:0], None, "empty"),
    ]:
        with pytest.raises(ExplainError) as raised:
            explain(recognizer, samples, label)
        assert raised.value.code == code


def saliency_of(values: np.ndarray) -> Saliency:
    bands, frames = values.shape
    hz = np.linspace(50, 7900, bands, dtype=np.float32)
    return Saliency(values, hz, np.arange(frames, dtype=np.float32) / 100, "angry", 0.8)


def test_the_strongest_region_is_found_and_the_one_against():
    values = np.zeros((80, 100), np.float32)
    values[8:16, 50:60], values[64:72, 20:30] = 1.0, -1.0
    saliency = saliency_of(values)
    top = top_region(saliency)
    assert (top.start_s, top.end_s, top.value) == pytest.approx((0.5, 0.59, 80.0))
    assert (top.low_hz, top.high_hz) == (saliency.band_hz[8], saliency.band_hz[15])
    against = top_region(saliency, against=True)
    assert (against.start_s, against.end_s, against.value) == pytest.approx((0.2, 0.29, -80.0))


def test_the_figure_shows_the_map_over_the_spectrogram_in_the_right_place():
    values = np.zeros((80, 100), np.float32)
    values[8:16, 50:60] = 1.0
    saliency = saliency_of(values)
    axes = saliency_figure(Waveform(np.zeros(SAMPLE_RATE, np.float32)), saliency, 500).axes[0]
    _, overlay = axes.collections
    alpha = overlay.get_array()[..., 3]
    assert np.unravel_index(alpha.argmax(), alpha.shape) == pytest.approx((12, 55), abs=1)
    assert alpha[40:].max() < 0.01
    assert axes.get_xlim() == (0.0, 1.0)


def test_an_empty_map_is_drawn_without_colour():
    figure = saliency_figure(
        Waveform(np.zeros(SAMPLE_RATE, np.float32)), saliency_of(np.zeros((80, 100), np.float32))
    )
    assert not figure.axes[0].collections[1].get_array()[..., 3].any()
