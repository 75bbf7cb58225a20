"""The segmentation network: its check values, as it is shipped and as PyTorch computes it."""

import numpy as np
import pytest
import soundfile
import torch

from ser_core.checkpoint import voices
from ser_core.models.voice_segmentation import POWERSET, VoiceSegmentation, frames_of
from train.export.voices import SEGMENTATION, load_network


def test_the_check_values_of_the_published_weights_hold(shared_data):
    samples = soundfile.read(shared_data / "vad" / "pyannote_sample.flac", dtype="float32")[0]
    output = voices.load().networks.segmentation(samples[160_000:320_000])
    assert output.shape == (589, len(POWERSET))
    assert np.bincount(output.argmax(-1), minlength=7).tolist() == [7, 0, 214, 312, 0, 0, 56]
    assert output[100].argmax() == 3
    assert output[100, 3] == pytest.approx(-0.0052, abs=2e-4)
    assert output[300].argmax() == 2
    assert output[300, 2] == pytest.approx(-0.1014, abs=2e-3)
    np.testing.assert_allclose(np.exp(output).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("n_samples", [8_000, 12_345, 48_000])
def test_onnx_runtime_gives_what_pytorch_gives(n_samples):
    network = load_network(VoiceSegmentation(), SEGMENTATION, voices.folder())
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    shipped = voices.load().networks.segmentation(samples)
    assert len(shipped) == frames_of(n_samples)
    with torch.inference_mode():
        expected = network(torch.from_numpy(samples)[None, None])[0]
    np.testing.assert_allclose(shipped, expected, rtol=1e-3, atol=1e-3)
