"""A checkpoint as one ONNX file: waveforms in, probabilities out, features and calibration inside.

The mel spectrogram is a convolution with windowed sines and cosines, which every runtime has and computes
fast; ONNX's own STFT few have. `ser_core.recognition.onnx_runtime` reads the files.
"""

import json
import logging
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
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.recognition.onnx_runtime import OPTIONS, WEIGHTS_SHA256, options_of
from train.errors import RunError

OPSET = 18
AGREES = 1e-4  # in probability, with torch
PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # onnxscript: torch needs it
LENGTHS = ([1600, 1600], [160_000], [24_000, 8000, 1])  # samples, of the clips of a batch
log = logging.getLogger(__name__)


class ConvolvedMel(nn.Module):
    """The same numbers as torchaudio's `MelSpectrogram`, by one convolution."""

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
        """`(batch, n_samples)` to power `(batch, mel, frame)`."""
        padded = F.pad(samples, (self.n_fft // 2, self.n_fft // 2))
        real, imaginary = F.conv1d(padded[:, None], self.kernels, stride=self.hop_length).chunk(2, dim=1)
        return self.bank @ (real.square() + imaginary.square())


class Waveforms(nn.Module):
    """A model that judges each clip by itself."""

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
    """A model that gets to know a session: what it has heard of each comes in and goes out."""

    outputs = ("probabilities", "alone", "session_after")

    def forward(self, samples: Tensor, lengths: Tensor, session: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Of clips, each of another session with the state `session` `(batch, state_size)` before it.

        Class probabilities `(batch, class)` within the session and by itself, and the state after the clip.
        """
        model = self.model
        assert isinstance(model, WhisperAdaptive)
        embeddings = model.embed(*self.extract(samples, lengths))
        familiar = model.familiar(embeddings)[:, None]
        alone = calibration.probabilities(model.by_themselves(embeddings), self.temperature)
        judged = calibration.probabilities(model.judge(embeddings, session), self.temperature)
        judged = torch.where(familiar, judged, 1 / judged.shape[1])
        return judged, alone, session + familiar * model.noted(embeddings)


def write(checkpoint: Path) -> dict[Path, float]:
    """Adds `model.onnx` and `model.int8.onnx` to a checkpoint; of each, how far it is from torch.

    That is the largest difference of a probability over generated clips. Raises RunError where a package is
    missing, where the architecture cannot be written as ONNX, and where the result differs from torch.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise RunError(f"ONNX files need {', '.join(missing)}: run `make setup-train`")
    bundle, model = bundles.load(checkpoint)
    graph = (Sessions if isinstance(model, WhisperAdaptive) else Waveforms)(bundle, model).eval()
    if isinstance(graph, Sessions) and bundle.window_s < VadOptions().max_speech_s:
        raise RunError(f"{checkpoint.name}: its window of {bundle.window_s:g} s is shorter than a segment")
    assert bundle.path is not None
    exact, small = bundle.path / bundles.ONNX, bundle.path / bundles.ONNX_INT8
    _export(graph, bundle, exact)
    _quantise(exact, small)
    found = {path: _difference(graph, path) for path in (exact, small)}
    if found[exact] > AGREES:
        exact.unlink()
        small.unlink()
        raise RunError(f"{bundle.architecture} as ONNX is {found[exact]:.2g} away from torch: report this")
    return found


def _export(graph: Waveforms, bundle: Bundle, path: Path) -> None:
    """Writes `graph` to `path`, with the bundle's name, labels and weights told in the file."""
    given = _given(graph, [3 * SAMPLE_RATE // 2, SAMPLE_RATE // 2])
    free = torch.export.Dim.DYNAMIC
    shapes = {"samples": {0: free, 1: free}, "lengths": {0: free}, "session": {0: free}}
    names = list(shapes)[: len(given)]
    try:
        program = torch.onnx.export(
            graph,
            given,
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


def _quantise(exact: Path, small: Path) -> None:
    """The file `exact` with its matrices in 8 bits, a scale for each column, as `small`."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(exact)
    model.graph.ClearField("value_info")  # shapes of the exporter that the quantiser takes for wrong ones
    constant = {found.name for found in model.graph.initializer}
    mel = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[0] in constant]
    logging.disable(logging.WARNING)  # a line for every matrix
    quantize_dynamic(
        model,
        small,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=mel,  # power goes over ten decades
    )
    logging.disable(logging.NOTSET)


def _given(graph: Waveforms, lengths: list[int]) -> tuple[Tensor, ...]:
    """Noise of `lengths` samples each; for a session of which something was heard, where that counts."""
    generator = torch.Generator().manual_seed(0)
    samples = 0.1 * torch.randn(len(lengths), max(lengths), generator=generator)
    given = samples, torch.tensor(lengths)
    if not isinstance(graph, Sessions):
        return given
    state = graph.model.unheard()
    return *given, (state + torch.rand(len(lengths), len(state), generator=generator)).contiguous()


def _difference(graph: Waveforms, path: Path) -> float:
    """How far a probability of the file is from torch's, at most, over clips of 0.1 to 10 s."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    apart = 0.0
    for lengths in LENGTHS:
        given = _given(graph, lengths)
        found = session.run(None, dict(zip(names, (tensor.numpy() for tensor in given), strict=True)))
        with torch.inference_mode():
            wanted = graph(*given)
        rows = wanted if isinstance(wanted, tuple) else (wanted,)
        for name, ours, theirs in zip(graph.outputs, found, rows, strict=True):
            if name != "session_after":  # sums of embeddings, on no scale
                apart = max(apart, float(np.abs(ours - theirs.numpy()).max()))
    return apart
