"""Exports a checkpoint as one ONNX file, from waveforms to probabilities, with features and calibration.

The mel spectrogram is a convolution with windowed sines and cosines, which every runtime supports and
computes fast; few support ONNX's own STFT. `ser_core.recognition.onnx_runtime` runs the files.
"""

import json
import logging
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.audio.vad import VadOptions
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint import calibration
from ser_core.checkpoint.bundle import Bundle
from ser_core.models.features import FeatureExtractor
from ser_core.models.whisper import ComputedPositions
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.recognition.onnx_runtime import OPTIONS, WEIGHTS_SHA256, options_of
from train.errors import RunError

OPSET = 18
MAX_DIFFERENCE = 1e-4  # of a probability from torch's
PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # torch needs onnxscript
STEP_S = 0.02  # of Whisper's encoder
LENGTHS = ([1600, 1600], [160_000], [24_000, 8000, 1])  # samples of each clip of a batch
log = logging.getLogger(__name__)


class ConvolvedMel(nn.Module):
    """torchaudio's `MelSpectrogram` as one convolution."""

    def __init__(self, mel: nn.Module) -> None:
        super().__init__()
        self.hop_length, self.n_fft = mel.hop_length, mel.n_fft
        turns = torch.outer(torch.arange(self.n_fft // 2 + 1), torch.arange(self.n_fft)).double() / self.n_fft
        waves = torch.cat([torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)])
        self.kernels: Tensor
        self.bank: Tensor
        self.register_buffer("kernels", (waves * mel.spectrogram.window.double()).float()[:, None])
        self.register_buffer("bank", mel.mel_scale.fb.T.contiguous())  # (mel, frequency)

    def forward(self, samples: Tensor) -> Tensor:
        """Power `(batch, mel, frame)` of samples `(batch, n_samples)`."""
        padded = F.pad(samples, (self.n_fft // 2, self.n_fft // 2))
        real, imaginary = F.conv1d(padded[:, None], self.kernels, stride=self.hop_length).chunk(2, dim=1)
        return self.bank @ (real.square() + imaginary.square())


class Waveforms(nn.Module):
    """The graph of a model that classifies each clip by itself."""

    outputs = ("probabilities",)

    def __init__(self, bundle: Bundle, model: nn.Module) -> None:
        super().__init__()
        self.extract = FeatureExtractor(bundle.features)
        if bundle.features.kind != "waveform":
            self.extract.mel = ConvolvedMel(self.extract.mel)
        self.model, self.temperature = model, bundle.temperature

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Class probabilities `(batch, class)` of `(batch, n_samples)` with lengths in samples."""
        return calibration.probabilities(self.model(*self.extract(samples, lengths)), self.temperature)


class Sessions(Waveforms):
    """The graph of a session-adaptive model, with the session's state as input and output."""

    outputs = ("probabilities", "alone", "session_after")

    def __init__(self, bundle: Bundle, model: WhisperAdaptive) -> None:
        super().__init__(bundle, model)
        positions: nn.Module = model.encoder.embed_positions
        if isinstance(positions, ComputedPositions):  # in the graph as well, or it would hold a table
            positions.forward = positions.at  # type: ignore[method-assign]
        else:  # of 30 s: no clip is longer than the checkpoint's window
            steps = math.ceil(bundle.window_s / STEP_S)
            positions.weight = nn.Parameter(model.encoder.embed_positions.weight.detach()[:steps].clone())

    def forward(self, samples: Tensor, lengths: Tensor, session: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Class probabilities `(batch, class)` within the session and by itself; state after the clip.

        Each clip belongs to a session of its own; `session` `(batch, state_size)` is the state before it.
        """
        model = self.model
        assert isinstance(model, WhisperAdaptive)
        embeddings = model.embed(*self.extract(samples, lengths))
        familiar = model.familiar(embeddings)[:, None]
        alone = calibration.probabilities(model.by_themselves(embeddings), self.temperature)
        in_session = calibration.probabilities(model.judge(embeddings, session), self.temperature)
        in_session = torch.where(familiar, in_session, 1 / in_session.shape[1])
        return in_session, alone, session + familiar * model.noted(embeddings)


def write(checkpoint: Path) -> dict[Path, float]:
    """Adds `model.onnx` and `model.int8.onnx` to a checkpoint; returns the difference of each from torch.

    The difference is the largest one of a probability over generated clips. Raises RunError for a missing
    package, an architecture that cannot be exported, and a difference above MAX_DIFFERENCE.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise RunError(f"ONNX files need {', '.join(missing)}: run `make setup-train`")
    bundle, model = bundles.load(checkpoint)
    graph = (
        Sessions(bundle, model) if isinstance(model, WhisperAdaptive) else Waveforms(bundle, model)
    ).eval()
    if isinstance(graph, Sessions) and bundle.window_s < VadOptions().max_speech_s:
        raise RunError(f"{checkpoint.name}: its window of {bundle.window_s:g} s is shorter than a segment")
    assert bundle.path is not None
    full, quantised = bundle.path / bundles.ONNX, bundle.path / bundles.ONNX_INT8
    _export(graph, bundle, full)
    _quantise(full, quantised)
    differences = {path: _difference(graph, path) for path in (full, quantised)}
    if differences[full] > MAX_DIFFERENCE:
        full.unlink()
        quantised.unlink()
        raise RunError(
            f"{bundle.architecture} as ONNX is {differences[full]:.2g} away from torch: report this"
        )
    return differences


def _export(graph: Waveforms, bundle: Bundle, path: Path) -> None:
    """Writes `graph` to `path`, with name, version, labels and weights' hash of the bundle as metadata."""
    inputs = _example_inputs(graph, [3 * SAMPLE_RATE // 2, SAMPLE_RATE // 2])
    free = torch.export.Dim.DYNAMIC
    shapes = {"samples": {0: free, 1: free}, "lengths": {0: free}, "session": {0: free}}
    names = list(shapes)[: len(inputs)]
    try:
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            input_names=names,
            output_names=list(graph.outputs),
            dynamic_shapes={name: shapes[name] for name in names},
            opset_version=OPSET,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        log.info("%s", error)
        raise RunError(f"{bundle.architecture} cannot be written as ONNX") from None
    assert program is not None
    program.model.metadata_props.update(
        name=bundle.name,
        version=bundle.version,
        labels=json.dumps(bundle.labels),
        **{WEIGHTS_SHA256: bundle.sha256, OPTIONS: options_of(bundle)},
    )
    program.save(path)


def _quantise(full: Path, quantised: Path) -> None:
    """Writes the file `full` to `quantised` with matrices in 8 bits and a scale for each column."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(full)
    model.graph.ClearField("value_info")  # the exporter's shapes, which the quantiser rejects
    constant = {tensor.name for tensor in model.graph.initializer}
    mel = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[0] in constant]
    logging.disable(logging.WARNING)  # onnxruntime logs a line for every matrix
    quantize_dynamic(
        model,
        quantised,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=mel,  # power has a range of ten decades
    )
    logging.disable(logging.NOTSET)


def _example_inputs(graph: Waveforms, lengths: list[int]) -> tuple[Tensor, ...]:
    """Inputs of `graph`: noise clips of `lengths` samples and, for session models, a random session state."""
    generator = torch.Generator().manual_seed(0)
    samples = 0.1 * torch.randn(len(lengths), max(lengths), generator=generator)
    inputs = samples, torch.tensor(lengths)
    if not isinstance(graph, Sessions):
        return inputs
    state = graph.model.unheard()
    return *inputs, (state + torch.rand(len(lengths), len(state), generator=generator)).contiguous()


def _difference(graph: Waveforms, path: Path) -> float:
    """The largest difference of a probability between the file and torch, over clips of up to 10 s."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    largest = 0.0
    for lengths in LENGTHS:
        inputs = _example_inputs(graph, lengths)
        outputs = session.run(None, dict(zip(names, (tensor.numpy() for tensor in inputs), strict=True)))
        with torch.inference_mode():
            expected = graph(*inputs)
        expected_outputs = expected if isinstance(expected, tuple) else (expected,)
        for name, ours, theirs in zip(graph.outputs, outputs, expected_outputs, strict=True):
            if name != "session_after":  # sums of embeddings, on no scale
                largest = max(largest, float(np.abs(ours - theirs.numpy()).max()))
    return largest
