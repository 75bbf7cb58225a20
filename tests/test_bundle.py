"""Checkpoints survive saving, and refuse to load when something is wrong with them."""

import json

import pytest
import torch
from safetensors.torch import save_file

from ser_core import bundle as bundles
from ser_core.bundle import Bundle, BundleError
from ser_core.emotions import LABELS
from ser_core.models import build


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = build("parallel_cnn_transformer", 8).eval()
    description = Bundle(
        name="test",
        version="1",
        architecture="parallel_cnn_transformer",
        labels=LABELS,
        features=model.features,
        temperature=1.7,
        threshold=0.4,
        training_data=("generated",),
    )
    return bundles.save(tmp_path / "test", description, model), model


def edit(path, **changes):
    description = json.loads((path / "bundle.json").read_text())
    (path / "bundle.json").write_text(json.dumps(description | changes))


def test_a_saved_bundle_loads_equal(saved):
    bundle, model = saved
    loaded, again = bundles.load(bundle.path)
    assert loaded == bundle
    assert loaded.parameters == 395_176
    features = torch.randn(2, 128, 300)
    lengths = torch.tensor([300, 200])
    with torch.inference_mode():
        torch.testing.assert_close(again(features, lengths), model(features, lengths), atol=2e-2, rtol=1e-2)


def test_metrics_beside_the_weights_are_read(saved):
    bundle, _ = saved
    (bundle.path / "metrics.json").write_text('{"protocols": {}}')
    assert bundles.read(bundle.path).metrics == {"protocols": {}}


def assert_refused(path, code):
    with pytest.raises(BundleError) as caught:
        bundles.load(path)
    assert caught.value.code == code
    assert caught.value.message


def test_a_changed_weights_file_is_refused(saved):
    path = saved[0].path
    weights = path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert_refused(path, "hash_mismatch")
    with pytest.raises(BundleError):
        bundles.verify(path)


def test_missing_weights_are_refused(saved):
    path = saved[0].path
    (path / "model.safetensors").unlink()
    assert_refused(path, "not_found")


def test_weights_of_another_shape_are_refused(saved):
    path = saved[0].path
    save_file({"head.weight": torch.zeros(2, 2)}, path / "model.safetensors")
    edit(path, sha256=bundles._sha256(path / "model.safetensors"))
    assert_refused(path, "wrong_weights")


def test_a_pickle_is_not_loaded(saved):
    path = saved[0].path
    torch.save({"head.weight": torch.zeros(2, 2)}, path / "model.safetensors")
    edit(path, sha256=bundles._sha256(path / "model.safetensors"))
    assert_refused(path, "wrong_weights")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": 2}, "newer_format"),
        ({"architecture": "other"}, "unknown_architecture"),
        ({"labels": ["happy", "grumpy"]}, "bad_labels"),
        ({"labels": ["happy", "happy"]}, "bad_labels"),
        ({"labels": list(LABELS[:4])}, "wrong_weights"),
        ({"options": {"layers": 3}}, "wrong_weights"),
        ({"features": {"window": 3}}, "bad_description"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(saved, changes, code):
    path = saved[0].path
    edit(path, **changes)
    assert_refused(path, code)


def test_a_description_that_is_not_json_is_refused(saved):
    path = saved[0].path
    (path / "bundle.json").write_text("{")
    assert_refused(path, "bad_description")


def test_an_unknown_name_lists_what_is_shipped():
    with pytest.raises(BundleError, match="no checkpoint 'nowhere'; shipped:") as caught:
        bundles.read("nowhere")
    assert caught.value.code == "not_found"
