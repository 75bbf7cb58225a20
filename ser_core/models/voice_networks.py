"""The networks that tell voices apart, run by ONNX Runtime, which takes less time than PyTorch for them."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

INPUT, OUTPUT = "input", "output"  # names in each file

Array = NDArray[np.float32]


class VoiceNetworks:
    """Segmentation and speaker encoder. Each call stays on the thread that makes it; threads may share it.

    `pool` has as many threads as torch uses for one call. So many calls at a time are quicker than one after
    the other on all of these threads.
    """

    def __init__(self, segmentation: Path, lower: Path, upper: Path) -> None:
        """The files that `train/export/voices.py` makes, beside the weights that they refer to."""
        self.workers = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(self.workers, "voices")
        self._segmentation, self._lower, self._upper = map(_session, (segmentation, lower, upper))

    def segmentation(self, samples: Array) -> Array:
        """Log-probabilities `(frame, 7)` of samples `(n_samples,)`, see `VoiceSegmentation`."""
        return _run(self._segmentation, samples[None, None])

    def lower(self, features: Array) -> Array:
        """Hidden states `(step, 1024)` of a filterbank `(frame, 80)`, see `CAMPlusPlus.lower`."""
        return _run(self._lower, features[None])

    def upper(self, states: Array) -> Array:
        """The embedding `(192,)` of some of these states, see `CAMPlusPlus.upper`."""
        return _run(self._upper, states[None])


def _session(path: Path) -> Any:
    """The `onnxruntime.InferenceSession` of a file, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, batch: Array) -> Array:
    (output,) = session.run([OUTPUT], {INPUT: batch})
    row: Array = output[0]
    return row
