"""Makes `checkpoints/voices` from the published weights of both networks.

    python -m train.export.voices ../shared/weights

Matrices are in float16 there already, vectors in float32. Counters of normalisations are left out.
"""

import argparse
import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from ser_core.checkpoint.bundle import WEIGHTS
from ser_core.checkpoint.voices import DESCRIPTION, FORMAT, SEGMENTATION, SPEAKER, folder, sha256_of

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


def export(weights: Path, target: Path) -> None:
    """Writes `model.safetensors` and `voices.json` to `target` from the two files in `weights`."""
    tensors = {
        prefix + key: value.contiguous()
        for prefix, name in FILES.items()
        for key, value in load_file(weights / name).items()
        if not key.endswith("num_batches_tracked")
    }
    target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target / WEIGHTS)
    described = {
        "format": FORMAT,
        "name": target.name,
        "networks": NETWORKS,
        "parameters": sum(value.numel() for key, value in tensors.items() if "running_" not in key),
        "size_bytes": (target / WEIGHTS).stat().st_size,
        "sha256": sha256_of(target / WEIGHTS),
    }
    (target / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes checkpoints/voices from the published weights.")
    parser.add_argument("weights", type=Path, help="folder of segmentation.safetensors, campplus.safetensors")
    export(parser.parse_args().weights, folder())


if __name__ == "__main__":
    main()
