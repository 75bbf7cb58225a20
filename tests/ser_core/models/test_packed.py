"""The default model's encoder for a CPU computes what the model says, clip by clip and without padding."""

import numpy as np
import pytest
import torch
from support import SAMPLE_RATE, random_bundle, syllables

from ser_core.audio.decode import decode
from ser_core.checkpoint import bundle, voices
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.packed import PackedEmbedder
from ser_core.recognition.recognizer import Recognizer


@pytest.fixture(scope="module", params=["whisper_base_campplus_adaptive", "whisper_tiny_distilled"])
def folder(request, tmp_path_factory):
    return random_bundle(tmp_path_factory.mktemp("bundle"), request.param)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Stretches of one sample to 3 s."""
    sound = syllables(12, seed=4)
    lengths = (1, 3200, 3 * SAMPLE_RATE, 9001)
    return [sound[8000 + 9000 * row :][:length] for row, length in enumerate(lengths)]


def test_it_agrees_with_the_model(folder, clips):
    _, model = bundle.load(folder)
    with torch.inference_mode():
        features = FeatureExtractor(model.features)(*pad([torch.from_numpy(clip) for clip in clips]))
        packed = PackedEmbedder(model, torch.float32)(*features)
        torch.testing.assert_close(packed, model.embed(*features), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_company_changes_nothing(folder, clips, precision):
    recognizer = Recognizer.load(folder, "cpu", precision)
    together = recognizer.probabilities(clips)
    alone = np.concatenate([recognizer.probabilities([clip]) for clip in clips])
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_embedding_is_the_same_in_any_company(folder, clips, precision):
    """Else live sound and its file would differ: bfloat16 makes much of a feature's last digit."""
    runtime = Recognizer.load(folder, "cpu", precision).runtime
    with torch.inference_mode():
        together = runtime.embed(*runtime.features(clips))
        alone = torch.cat([runtime.embed(*runtime.features([clip])) for clip in clips])
    # In truth equal, from 70 ms on; but with AMX, bfloat16 sums in an order that depends on the company.
    atol = 1e-4 if precision == "float32" else 5e-3
    torch.testing.assert_close(together, alone, atol=atol, rtol=0)


def test_the_shipped_model_has_its_branch_run_by_onnx_runtime(clips):
    """By the networks that tell voices apart, to the last bit in any company."""
    _, model = bundle.load("default")
    runtime = Recognizer.load("default", "cpu").runtime
    with torch.inference_mode():
        features = runtime.features(clips)
        together = runtime.embed(*features)
        torch.testing.assert_close(together, model.eval().embed(*features), atol=2e-3, rtol=1e-3)
        for clip, embedding in zip(clips, together, strict=True):
            alone = runtime.embed(*runtime.features([clip]))[0]
            assert torch.equal(alone[-2048:], embedding[-2048:])
    assert runtime.embed._networks is voices.shipped().networks


def test_features_are_the_same_to_the_last_bit_in_any_company(folder):
    sound = syllables(40, seed=4)
    clips = [sound[4000 * row :][: 5000 + 1357 * row] for row in range(20)]
    runtime = Recognizer.load(folder, "cpu").runtime
    together, lengths = runtime.features(clips)
    for row, length, clip in zip(together, lengths, clips, strict=True):
        assert torch.equal(row[:, :length], runtime.features([clip])[0][0])


def test_company_hardly_moves_a_probability_of_the_shipped_model(shared_data):
    """In bfloat16, and only on processors with AMX: by less than two thousandths, as docs/speed.md says."""
    paths = sorted((shared_data / "ravdess").glob("Actor_0[57]/03-01-*-01-01-01-*.flac"))
    clips = [decode(path).samples for path in paths]
    recognizer = Recognizer.load("default", "cpu", "bfloat16")
    alone = np.concatenate([recognizer.probabilities([clip]) for clip in clips])
    assert recognizer.probabilities(clips) == pytest.approx(alone, abs=2e-3)


def test_half_the_bits_hardly_change_a_probability(shared_data):
    """On the shipped weights and real speech: the accuracy table moves by less than 0.3 points."""
    paths = sorted((shared_data / "ravdess").glob("Actor_0[57]/03-01-*-01-01-01-*.flac"))
    summaries = {
        precision: [a.summary for a in Recognizer.load("default", "cpu", precision).analyze_files(paths)]
        for precision in ("float32", "bfloat16")
    }
    assert len(paths) == 16
    for exact, rounded in zip(summaries["float32"], summaries["bfloat16"], strict=True):
        assert rounded.probabilities == pytest.approx(exact.probabilities, abs=0.05)
        assert rounded.label == exact.label or exact.confidence < 0.55
