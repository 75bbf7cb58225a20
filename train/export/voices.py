"""Makes `checkpoints/voices` from the published weights of both networks and the fitted space.

    python benchmarks/voices.py --data ../shared/data --cache runs/voices
    python -m train.export.voices ../shared/weights runs/voices/space.safetensors

The networks' matrices are in float16 already, vectors in float32. Counters of normalisations are left out.
"""

import argparse
import json
import shutil
import struct
from functools import partial
from pathlib import Path
from typing import TypeVar

import onnx
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.checkpoint.bundle import WEIGHTS
from ser_core.checkpoint.voices import (
    DESCRIPTION,
    FILES,
    FORMAT,
    ONNX,
    SPACE,
    folder,
    sha256_of,
)
from ser_core.models.campplus import BANDS, LOWER, CAMPlusPlus, MiddleBlock, middle_weights
from ser_core.models.voice_networks import INPUT, OUTPUT
from ser_core.models.voice_segmentation import VoiceSegmentation

Network = TypeVar("Network", bound=nn.Module)
OPSET = 18
SEGMENTATION, SPEAKER = "segmentation.", "speaker."  # prefixes of the two networks' weights
PUBLISHED = {SEGMENTATION: "segmentation.safetensors", SPEAKER: "campplus.safetensors"}
NETWORKS = {
    "segmentation": {
        "origin": "pyannote/segmentation-3.0",
        "paper": "arXiv 2310.13025",
        "licence": "MIT",
    },
    "speaker": {
        "origin": "3D-Speaker speech_campplus_sv_zh-en_16k-common_advanced",
        "paper": "arXiv 2303.00332",
        "licence": "Apache-2.0",
    },
}


def export(weights: Path, space: Path, target: Path) -> None:
    """Writes the networks, from the two files in `weights`, the `space` and `voices.json` to `target`."""
    tensors = {
        prefix + key: value.contiguous()
        for prefix, name in PUBLISHED.items()
        for key, value in load_file(weights / name).items()
        if not key.endswith("num_batches_tracked")
    }
    target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target / WEIGHTS)
    shutil.copyfile(space, target / SPACE)
    export_onnx(target)
    described = {
        "format": FORMAT,
        "name": target.name,
        "networks": NETWORKS,
        "parameters": sum(value.numel() for key, value in tensors.items() if "running_" not in key),
        "size_bytes": (target / WEIGHTS).stat().st_size,
        "middle_weights": middle_weights(load_network(CAMPlusPlus(), SPEAKER, target).state_dict()),
        "sha256": {name: sha256_of(target / name) for name in FILES},
    }
    (target / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def load_network(network: Network, prefix: str, path: Path) -> Network:
    """`network` with its weights of the checkpoint in `path`, in float32 and in evaluation mode."""
    weights = load_file(path / WEIGHTS)
    own = {key: weights[prefix + key].float() for key in network.state_dict() if prefix + key in weights}
    network.load_state_dict(own, strict=False)  # counters are left out
    return network.eval()


class _Lower(MiddleBlock):
    """`CAMPlusPlus.lower`, by the names of the weights."""

    def forward(self, features: Tensor) -> Tensor:  # type: ignore[override]
        """`(batch, frame, 80)` to `(batch, step, 1024)`."""
        return super().forward(features.transpose(1, 2))[0]


class _Upper(nn.Module):
    """`CAMPlusPlus.upper`, by the names of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.xvector = CAMPlusPlus().xvector
        for name in LOWER:
            del self.xvector[name]

    forward = CAMPlusPlus.upper


class _Segmentation(VoiceSegmentation):
    """The same with ONNX's own LSTM: PyTorch's cannot be exported for samples of any number."""

    def forward(self, samples: Tensor) -> Tensor:
        """See `VoiceSegmentation`; of one recording."""
        self.lstm.forward = partial(_onnx_lstm, self.lstm)  # type: ignore[method-assign]
        return super().forward(samples)


def _onnx_lstm(lstm: nn.LSTM, x: Tensor) -> tuple[Tensor, None]:
    """`(1, step, channel)` to `(1, step, 2 * hidden_size)`, as `lstm`, which runs both ways."""
    x = x.transpose(0, 1)
    for layer in range(lstm.num_layers):
        ways = [f"l{layer}", f"l{layer}_reverse"]
        into, from_before = (
            torch.stack([_onnx_gates(getattr(lstm, f"weight_{kind}_{way}")) for way in ways])
            for kind in ("ih", "hh")
        )
        biases = [
            torch.cat([_onnx_gates(getattr(lstm, f"bias_{kind}_{way}")) for kind in ("ih", "hh")])
            for way in ways
        ]
        x = torch.onnx.ops.symbolic(
            "LSTM",
            (x, into, from_before, torch.stack(biases)),
            {"hidden_size": lstm.hidden_size, "direction": "bidirectional"},
            dtype=x.dtype,
            shape=(x.shape[0], 2, 1, lstm.hidden_size),
        )
        x = x.transpose(1, 2).flatten(2)  # (step, 1, 2 * hidden_size)
    return x.transpose(0, 1), None


def _onnx_gates(weights: Tensor) -> Tensor:
    """From PyTorch's order of an LSTM's gates (input, forget, cell, output) to ONNX's, along the rows."""
    gate_in, forget, cell, out = weights.chunk(4)
    return torch.cat([gate_in, out, forget, cell])


def export_onnx(target: Path) -> None:
    """Writes the graphs of both networks to `target`; they refer to the bytes of the weights there."""
    free = torch.export.Dim.DYNAMIC
    graphs = (
        (_Segmentation(), SEGMENTATION, torch.zeros(1, 1, 3 * SAMPLE_RATE), 2),
        (_Lower(), SPEAKER, torch.zeros(1, 250, BANDS), 1),
        (_Upper(), SPEAKER, torch.zeros(1, 125, MiddleBlock.size), 1),
    )
    for (network, prefix, example, axis), name in zip(graphs, ONNX, strict=True):
        program = torch.onnx.export(
            load_network(network, prefix, target),
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({axis: free},),
            opset_version=OPSET,
            optimize=False,  # keeps the weights apart; ONNX Runtime folds them when it loads them
            verbose=False,
        )
        assert program is not None
        graph = program.model_proto
        with (target / WEIGHTS).open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
        casts = [_refer(tensor, prefix, header, 8 + size) for tensor in graph.graph.initializer]
        nodes = [cast for cast in casts if cast is not None] + list(graph.graph.node)
        for node in nodes:
            node.doc_string = ""
            del node.metadata_props[:]
        del graph.graph.node[:], graph.graph.value_info[:]
        graph.graph.node.extend(nodes)
        (target / name).write_bytes(graph.SerializeToString())


def _refer(tensor: onnx.TensorProto, prefix: str, header: dict, start: int) -> onnx.NodeProto | None:
    """Makes `tensor` refer to the safetensors file; returns the cast to float32 that it needs, if any."""
    name = tensor.name
    first, end = header[prefix + name]["data_offsets"]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": WEIGHTS, "offset": str(start + first), "length": str(end - first)}.items():
        tensor.external_data.add(key=key, value=value)
    if header[prefix + name]["dtype"] == "F32":
        return None
    tensor.name, tensor.data_type = f"{name}.half", onnx.TensorProto.FLOAT16
    return onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes checkpoints/voices from the published weights.")
    parser.add_argument("weights", type=Path, help="folder of segmentation.safetensors, campplus.safetensors")
    parser.add_argument("space", type=Path, help="what benchmarks/voices.py fitted")
    args = parser.parse_args()
    export(args.weights, args.space, folder())


if __name__ == "__main__":
    main()
