"""Models are loaded on request, and only some of them are kept."""

import pytest
from support import random_bundle

from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import BundleError
from ser_core.recognition.recognizer import Recognizer
from ser_ui.model_cache import WEIGHT_BYTES, ModelCache


@pytest.fixture
def own(tmp_path) -> Recognizer:
    return Recognizer.load(random_bundle(tmp_path / "own", name="own"))


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """Three shipped checkpoints: a, b and c."""
    for name in ("a", "b", "c"):
        random_bundle(tmp_path / "checkpoints" / name, "stacked_cnn_lstm", name=name)
    monkeypatch.setattr(bundle, "CHECKPOINTS", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def test_the_models_are_the_shipped_ones_and_the_servers_own(own, checkpoints):
    assert [model.name for model in ModelCache(own).models()] == ["own", "a", "b", "c"]
    shipped = Recognizer.load("b")
    assert [model.name for model in ModelCache(shipped).models()] == ["a", "b", "c"]


def test_a_model_is_loaded_once_and_the_servers_own_never(own, checkpoints):
    cache = ModelCache(own)
    assert cache.get("") is cache.get("own") is own
    assert cache.get("a") is cache.get("a")
    assert cache.get("a").bundle.name == "a"


def test_the_model_that_was_used_longest_ago_goes_when_there_are_too_many(own, checkpoints):
    each = WEIGHT_BYTES * bundle.read("a").parameters
    cache = ModelCache(own, max_bytes=2 * each)
    a, b = cache.get("a"), cache.get("b")
    assert cache.get("a") is a
    cache.get("c")
    assert cache.get("a") is a
    assert cache.get("b") is not b


def test_a_model_larger_than_the_room_is_lent_all_the_same(own, checkpoints):
    cache = ModelCache(own, max_bytes=0)
    assert [cache.get(name).bundle.name for name in ("a", "b")] == ["a", "b"]


@pytest.mark.parametrize("name", ["nonsense", "../own", "/etc"])
def test_only_names_are_taken(own, checkpoints, name):
    with pytest.raises(BundleError, match="there are own, a, b, c") as raised:
        ModelCache(own).get(name)
    assert raised.value.code == "unknown_model"
