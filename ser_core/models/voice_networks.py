"""The networks that tell voices apart, run by PyTorch or by ONNX Runtime behind one interface."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ser_core.models.campplus import CAMPlusPlus
from ser_core.models.voice_segmentation import VoiceSegmentation

INPUT, OUTPUT = "input", "output"  # names in each ONNX file

Array = NDArray[np.float32]


class VoiceNetworks(Protocol):
    """Segmentation and speaker encoder. The methods may be called by several threads at once."""

    workers: int  # how many stretches of speech are best computed at the same time

    def segmentation(self, samples: Array) -> Array:
        """Log-probabilities `(frame, 7)` of samples `(n_samples,)`, see `VoiceSegmentation`."""

    def lower(self, features: Array) -> Array:
        """Hidden states `(step, 1024)` of a filterbank `(frame, 80)`, see `CAMPlusPlus.lower`."""

    def upper(self, states: Array) -> Array:
        """The embedding `(192,)` of some of these states, see `CAMPlusPlus.upper`."""


class TorchVoiceNetworks:
    """Both networks by PyTorch, which uses several threads for each call."""

    workers = 1

    def __init__(self, segmentation: VoiceSegmentation, speaker: CAMPlusPlus) -> None:
        """Both in evaluation mode, on the CPU."""
        self._segmentation, self._speaker = segmentation, speaker

    @torch.inference_mode()
    def segmentation(self, samples: Array) -> Array:
        """See `VoiceNetworks`."""
        return _array(self._segmentation(torch.from_numpy(samples)[None, None]))

    @torch.inference_mode()
    def lower(self, features: Array) -> Array:
        """See `VoiceNetworks`."""
        return _array(self._speaker.lower(torch.from_numpy(features)[None]))

    @torch.inference_mode()
    def upper(self, states: Array) -> Array:
        """See `VoiceNetworks`."""
        return _array(self._speaker.upper(torch.from_numpy(states)[None]))


class OnnxVoiceNetworks:
    """The same by ONNX Runtime, up to rounding, in less time; each call stays on the thread that makes it."""

    def __init__(self, segmentation: Path, lower: Path, upper: Path) -> None:
        """The files that `train/export/voices.py` makes, beside the weights that they refer to."""
        self.workers = torch.get_num_threads()
        self._segmentation, self._lower, self._upper = map(_session, (segmentation, lower, upper))

    def segmentation(self, samples: Array) -> Array:
        """See `VoiceNetworks`."""
        return _run(self._segmentation, samples[None, None])

    def lower(self, features: Array) -> Array:
        """See `VoiceNetworks`."""
        return _run(self._lower, features[None])

    def upper(self, states: Array) -> Array:
        """See `VoiceNetworks`."""
        return _run(self._upper, states[None])


def _run(session: Any, batch: Array) -> Array:
    (output,) = session.run([OUTPUT], {INPUT: batch})
    row: Array = output[0]
    return row


def _session(path: Path) -> Any:
    """The `onnxruntime.InferenceSession` of a file, on one thread."""
    onnxruntime: Any = import_module("onnxruntime")  # an extra
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _array(batch: torch.Tensor) -> Array:
    row: Array = batch[0].numpy()
    return row
