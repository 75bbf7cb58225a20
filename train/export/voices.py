"""Makes `checkpoints/voices` from the published weights of both networks and the fitted space.

    python benchmarks/voices.py --data ../shared/data --cache runs/voices
    python -m train.export.voices ../shared/weights runs/voices/space.safetensors

The networks' matrices are in float16 already, vectors in float32. Counters of normalisations are left out.
"""

import argparse
import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from ser_core.checkpoint.bundle import WEIGHTS
from ser_core.checkpoint.voices import (
    DESCRIPTION,
    FORMAT,
    HASHES,
    SEGMENTATION,
    SPACE,
    SPEAKER,
    folder,
    sha256_of,
)

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
    described = {
        "format": FORMAT,
        "name": target.name,
        "networks": NETWORKS,
        "parameters": sum(value.numel() for key, value in tensors.items() if "running_" not in key),
        "size_bytes": (target / WEIGHTS).stat().st_size,
        **{key: sha256_of(target / name) for name, key in HASHES.items()},
    }
    (target / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes checkpoints/voices from the published weights.")
    parser.add_argument("weights", type=Path, help="folder of segmentation.safetensors, campplus.safetensors")
    parser.add_argument("space", type=Path, help="what benchmarks/voices.py fitted")
    args = parser.parse_args()
    export(args.weights, args.space, folder())


if __name__ == "__main__":
    main()
