"""Checkpoints survive saving, and refuse to load when something is wrong with them."""

import contextlib
import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_core.emotions import LABELS
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.registry import build
from ser_core.recognition.recognizer import Recognizer


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
    assert re.search("again|update", caught.value.message), "it says what to do"
    assert "\n" not in caught.value.message


def test_a_changed_weights_file_is_refused(saved):
    path = saved[0].path
    weights = path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert_refused(path, "hash_mismatch")
    with pytest.raises(BundleError):
        bundles.verify(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("hash_fits", [False, True])
def test_a_truncated_weights_file_is_refused(saved, share, hash_fits):
    path = saved[0].path
    weights = path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(share * len(content))])
    if hash_fits:
        edit(path, sha256=bundles._sha256(weights))
    assert_refused(path, "wrong_weights" if hash_fits else "hash_mismatch")


def test_weights_that_are_no_numbers_are_refused(saved):
    path, weights = saved[0].path, load_file(saved[0].path / "model.safetensors")
    weights["head.bias"][0] = torch.nan
    save_file(weights, path / "model.safetensors")
    edit(path, sha256=bundles._sha256(path / "model.safetensors"))
    assert_refused(path, "wrong_weights")


def test_missing_weights_are_refused(saved):
    path = saved[0].path
    (path / "model.safetensors").unlink()
    assert_refused(path, "not_found")


def test_weights_of_another_shape_are_refused(saved):
    path = saved[0].path
    save_file({"head.weight": torch.zeros(2, 2)}, path / "model.safetensors")
    edit(path, sha256=bundles._sha256(path / "model.safetensors"))
    assert_refused(path, "wrong_weights")


@pytest.fixture
def shared(tmp_path):
    """A checkpoint that leaves its encoder to another one beside it; with the model that was saved."""
    torch.manual_seed(0)
    model = build("whisper_tiny_distilled", 8)
    description = Bundle("test", "1", "whisper_tiny_distilled", LABELS, model.features)
    bundles.save(tmp_path / "base", description, model)
    torch.nn.init.normal_(model.alone[-1].weight)
    return bundles.save(tmp_path / "test", description, model, "base"), model


def test_an_encoder_that_two_checkpoints_share_is_kept_once(shared):
    bundle, model = shared
    base = bundles.read(bundle.path.parent / "base")
    assert bundle.size_bytes < base.size_bytes / 3
    assert bundle.parameters == base.parameters
    bundles.verify(bundle.path)
    loaded, again = bundles.load(bundle.path)
    assert loaded == bundle
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, atol=2e-3, rtol=1e-3)


def test_another_version_of_the_base_does_if_its_encoder_is_the_same(shared):
    bundle, model = shared
    torch.nn.init.normal_(model.relative[-1].weight)
    bundles.save(bundle.path.parent / "base", dataclasses.replace(bundle, version="2"), model)
    assert bundles.load(bundle.path)[0] == bundle


@pytest.mark.parametrize("use", [bundles.load, bundles.verify])
@pytest.mark.parametrize("code", ["not_found", "hash_mismatch", "wrong_weights"])
def test_a_base_that_is_missing_or_other_is_named(shared, use, code):
    bundle, model = shared
    base = bundle.path.parent / "base"
    if code == "not_found":
        (base / "bundle.json").unlink()
    elif code == "hash_mismatch":
        (base / "model.safetensors").write_bytes(b"other")
    else:
        torch.nn.init.normal_(model.encoder.conv1.weight)
        bundles.save(base, bundle, model)
    with pytest.raises(BundleError, match="base") as caught:
        use(bundle.path)
    assert caught.value.code == code


def test_a_base_with_another_encoder_is_refused_when_saving(shared):
    bundle, model = shared
    torch.nn.init.normal_(model.encoder.conv1.weight)
    with pytest.raises(BundleError, match="encoders of another version"):
        bundles.save(bundle.path, bundle, model, "base")
    assert bundles.load(bundle.path)[0] == bundle


def test_a_pickle_is_not_loaded(saved):
    path = saved[0].path
    torch.save({"head.weight": torch.zeros(2, 2)}, path / "model.safetensors")
    edit(path, sha256=bundles._sha256(path / "model.safetensors"))
    assert_refused(path, "wrong_weights")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": 2}, "newer_format"),
        ({"format": "1"}, "newer_format"),
        ({"format": None}, "newer_format"),
        ({"architecture": "other"}, "unknown_architecture"),
        ({"labels": ["happy", "grumpy"]}, "bad_labels"),
        ({"labels": ["happy", "happy"]}, "bad_labels"),
        ({"labels": list(LABELS[:4])}, "wrong_weights"),
        ({"options": {"layers": 3}}, "wrong_weights"),
        ({"labels": []}, "bad_labels"),
        ({"labels": [["happy"], {}]}, "bad_description"),
        ({"labels": "happy"}, "bad_labels"),
        ({"labels": 3}, "bad_description"),
        ({"options": {"dropout": "much"}}, "wrong_weights"),
        ({"options": []}, "bad_description"),
        ({"features": {"window": 3}}, "bad_description"),
        ({"features": {}}, "wrong_weights"),
        ({"features": {"kind": "smell"}}, "bad_description"),
        ({"features": {"n_mels": 10**12}}, "bad_description"),
        ({"features": {"hop_length": 0}}, "bad_description"),
        ({"features": {"sample_rate": 8000}}, "bad_description"),
        ({"temperature": 0}, "bad_description"),
        ({"temperature": float("nan")}, "bad_description"),
        ({"threshold": "0.5"}, "bad_description"),
        ({"window_s": 1e9}, "bad_description"),
        ({"window_s": True}, "bad_description"),
        ({"name": None}, "bad_description"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(saved, changes, code):
    path = saved[0].path
    edit(path, **changes)
    assert_refused(path, code)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(LABELS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([field.name for field in dataclasses.fields(Bundle)])
SPEC_FIELDS = st.sampled_from([field.name for field in dataclasses.fields(FeatureSpec)])


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_description_says_it_is_refused_in_words_or_works(saved, data):
    path = saved[0].path
    description = json.loads(json.dumps(dataclasses.asdict(saved[0]) | {"path": None}))
    description |= {"format": bundles.FORMAT, **data.draw(st.dictionaries(FIELDS, JSON, max_size=2))}
    if isinstance(description["features"], dict):
        description["features"] |= data.draw(st.dictionaries(SPEC_FIELDS, JSON, max_size=2))
    (path / "bundle.json").write_text(json.dumps(description))
    with contextlib.suppress(BundleError):
        row = Recognizer.load(path, "cpu").probabilities([np.ones(3200, np.float32)])[0]
        assert row.sum() == pytest.approx(1)


def test_a_description_that_is_not_json_is_refused(saved):
    path = saved[0].path
    (path / "bundle.json").write_text("{")
    assert_refused(path, "bad_description")


def test_an_unknown_name_lists_what_is_shipped():
    with pytest.raises(BundleError, match="no checkpoint 'nowhere'; shipped:") as caught:
        bundles.read("nowhere")
    assert caught.value.code == "not_found"
