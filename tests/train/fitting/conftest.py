"""A narrow session-adaptive network: how it is fitted does not depend on its width."""

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ser_core.models.registry import ARCHITECTURES
from ser_core.models.whisper import WhisperEncoder
from ser_core.models.whisper_adaptive import WhisperAdaptive

WIDTH, HEADS, LAYERS = 64, 2, 4


@pytest.fixture(scope="module")
def small_base():
    """`whisper_base_adaptive` with embeddings of 384 numbers: directions of its own 3072 take ten seconds."""
    small = partial(WhisperAdaptive, width=WIDTH, heads=HEADS, layers=LAYERS, hidden=16, dropout=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "whisper_base_adaptive", small)
        yield


@pytest.fixture(scope="module")
def weights(small_base, tmp_path_factory) -> Path:
    """A random encoder under the hub's names, with two layers that `small_base` leaves out."""
    torch.manual_seed(0)
    encoder = WhisperEncoder(WIDTH, HEADS, LAYERS + 2)
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_file({f"model.encoder.{k}": v.half() for k, v in encoder.state_dict().items()}, path)
    return path
