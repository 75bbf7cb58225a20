"""Architectures by name. Each maps `(features, lengths)` to logits `(batch, class)`.

`features` `(batch, band, frame)` come from `FeatureExtractor(model.features)`, `lengths` `(batch,)` are in
frames. Speech may have any length; padding beyond an utterance's length never changes its logits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from ser_core.models.cnn16_transformer import Cnn16Transformer
from ser_core.models.cnn_bilstm_attention import CnnBilstmAttention
from ser_core.models.cnn_lstm import CnnLstm
from ser_core.models.coattention_mfcc_mel import CoattentionMfccMel
from ser_core.models.parallel_2cnn_transformer import Parallel2CnnTransformer
from ser_core.models.parallel_cnn_blstm_attention import ParallelCnnBlstmAttention
from ser_core.models.parallel_cnn_transformer import ParallelCnnTransformer
from ser_core.models.parallel_transformer_attention_lstm import ParallelTransformerAttentionLstm
from ser_core.models.speech_encoder import SpeechEncoder
from ser_core.models.stacked_cnn_attention_lstm import StackedCnnAttentionLstm
from ser_core.models.stacked_cnn_lstm import StackedCnnLstm
from ser_core.models.vgg16_transfer import Vgg16Transfer
from ser_core.models.vggish_transfer import VggishTransfer
from ser_core.models.whisper import WhisperClassifier
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.models.whisper_probe import WhisperProbe

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "cnn_lstm": CnnLstm,
    "stacked_cnn_lstm": StackedCnnLstm,
    "stacked_cnn_attention_lstm": StackedCnnAttentionLstm,
    "parallel_cnn_transformer": ParallelCnnTransformer,
    "parallel_cnn_blstm_attention": ParallelCnnBlstmAttention,
    "parallel_2cnn_transformer": Parallel2CnnTransformer,
    "coattention_mfcc_mel": CoattentionMfccMel,
    "cnn16_transformer": Cnn16Transformer,
    "cnn_bilstm_attention": CnnBilstmAttention,
    "parallel_transformer_attention_lstm": ParallelTransformerAttentionLstm,
    "vgg16_transfer": Vgg16Transfer,
    "vggish_transfer": VggishTransfer,
    "speech_encoder": SpeechEncoder,
    "whisper_tiny": WhisperClassifier.tiny,
    "whisper_base": WhisperClassifier.base,
    "whisper_tiny_probe": WhisperProbe.tiny,
    "whisper_base_adaptive": WhisperAdaptive.base,
    "whisper_base_campplus_adaptive": partial(WhisperAdaptive.base, campplus=True),
    "whisper_tiny_adaptive": WhisperAdaptive.tiny,
    "whisper_tiny_distilled": WhisperAdaptive.distilled,
}

# Those that learn of a session while it goes on.
ADAPTIVE = frozenset(name for name in ARCHITECTURES if name.endswith(("_adaptive", "_distilled")))

# All random functions of `torch.nn.init` call one of these.
RANDOM_INITS = ("kaiming_uniform_", "uniform_", "normal_")


def build(name: str, num_classes: int, **options: Any) -> nn.Module:
    """The architecture `name` with random weights; `options` are those of its constructor.

    Raises ValueError for a name that is not in `ARCHITECTURES`.

    >>> model = build("parallel_cnn_transformer", 8)
    >>> sum(parameter.numel() for parameter in model.parameters())
    395176
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"no architecture is called {name!r}; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name](num_classes, **options)


def build_uninitialised(name: str, num_classes: int, **options: Any) -> nn.Module:
    """As `build`, but weights that would be random are uninitialised memory: the caller replaces them all.

    Drawing them takes a quarter of a second for the default model, a tenth of the time to a first result.
    """
    with _SkipRandomInit():
        return build(name, num_classes, **options)


class _SkipRandomInit(TorchFunctionMode):
    """Skips the functions with which `torch.nn.init` fills tensors with random numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls `func`, unless it is one of `RANDOM_INITS`."""
        kwargs = kwargs or {}
        if func.__name__ in RANDOM_INITS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
