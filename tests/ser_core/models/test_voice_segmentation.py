"""The segmentation network: its check values."""

import pytest
import soundfile
import torch

from ser_core.checkpoint import voices
from ser_core.models.voice_segmentation import POWERSET, frames_of


def test_the_check_values_of_the_published_weights_hold(shared_data):
    network = voices.load().segmentation
    samples = soundfile.read(shared_data / "vad" / "pyannote_sample.flac", dtype="float32")[0]
    with torch.inference_mode():
        output = network(torch.from_numpy(samples[160_000:320_000])[None, None])[0]
    assert output.shape == (589, len(POWERSET))
    assert torch.bincount(output.argmax(-1), minlength=7).tolist() == [7, 0, 214, 312, 0, 0, 56]
    assert output[100].argmax() == 3
    assert output[100, 3].item() == pytest.approx(-0.0052, abs=2e-4)
    assert output[300].argmax() == 2
    assert output[300, 2].item() == pytest.approx(-0.1014, abs=2e-3)
    torch.testing.assert_close(output.exp().sum(-1), torch.ones(589))


@pytest.mark.parametrize("n_samples", [8_000, 12_345, 48_000])
def test_the_number_of_frames_is_as_said(n_samples):
    network = voices.load().segmentation
    with torch.inference_mode():
        assert network(torch.randn(1, 1, n_samples)).shape[1] == frames_of(n_samples)
