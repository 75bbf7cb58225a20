"""Makes `checkpoints/voices` from the published weights of both networks and the fitted space.

    python benchmarks/voices.py --data ../shared/data --cache runs/voices
    python -m train.export.voices ../shared/weights runs/voices/space.safetensors

The networks' matrices are in float16 already, vectors in float32. Counters of normalisations are left out.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path

import onnx
import torch
from safetensors.torch import load_file, save_file

from ser_core.checkpoint.bundle import WEIGHTS
from ser_core.checkpoint.voices import (
    DESCRIPTION,
    FORMAT,
    HASHES,
    ONNX,
    SEGMENTATION,
    SPACE,
    SPEAKER,
    folder,
    sha256_of,
)
from ser_core.models.campplus import BANDS, CAMPlusPlus
from ser_core.models.campplus_onnx import INPUT, OUTPUT

OPSET = 18
FILES = {SEGMENTATION: "segmentation.safetensors", SPEAKER: "campplus.safetensors"}
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
        for prefix, name in FILES.items()
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
        **{key: sha256_of(target / name) for name, key in HASHES.items()},
    }
    (target / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def export_onnx(target: Path) -> None:
    """Writes the speaker encoder's graph to `target`; it refers to the bytes of the weights there."""
    model = CAMPlusPlus().eval()
    weights = load_file(target / WEIGHTS)
    own = {name: weights[SPEAKER + name].float() for name in model.state_dict() if SPEAKER + name in weights}
    model.load_state_dict(own, strict=False)  # counters are left out
    free = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 250, BANDS),),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: free, 1: free},),
        opset_version=OPSET,
        optimize=False,  # keeps the weights apart; ONNX Runtime folds them when it loads them
        verbose=False,
    )
    assert program is not None
    graph = program.model_proto
    with (target / WEIGHTS).open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    casts = [_refer(tensor, header, 8 + size) for tensor in graph.graph.initializer]
    nodes = [cast for cast in casts if cast is not None] + list(graph.graph.node)
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.graph.node[:], graph.graph.value_info[:]
    graph.graph.node.extend(nodes)
    (target / ONNX).write_bytes(graph.SerializeToString())


def _refer(tensor: onnx.TensorProto, header: dict, start: int) -> onnx.NodeProto | None:
    """Makes `tensor` refer to the safetensors file; returns the cast to float32 that it needs, if any."""
    name = tensor.name
    first, end = header[SPEAKER + name]["data_offsets"]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": WEIGHTS, "offset": str(start + first), "length": str(end - first)}.items():
        tensor.external_data.add(key=key, value=value)
    if header[SPEAKER + name]["dtype"] == "F32":
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
