"""Training in two processes: the same weights, every clip once, one set of files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import ROOT, spoken_corpus

from ser_core.emotions import LABELS
from train.fitting.loss import masked_cross_entropy
from train.reports import curves, evaluate

DEADLINE_S = 150
# Each process runs this; Lightning starts the second one. It saves the weights that training ends with, and
# counts how often it writes metrics.json.
SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from train import corpora
from train.fitting import fit as fitting
from train.processes import rank_and_count
from train.protocols.crossval import split_named
from train.recipe import Recipe

out = Path(sys.argv[1])
written = []
sys.addaudithook(lambda event, args: written.append(str(args[1])) if event == "os.rename" else None)
recipe = Recipe("two", "parallel_2cnn_transformer", corpora=("made",), epochs=2, batch_size=4, ema_decay=0.5)
split = split_named("speaker_fold0of3", corpora.read(out / "data", ["made"]))
train = fitting.train

def train_and_save(*arguments):
    module = train(*arguments)
    torch.save(module.model.state_dict(), out / f"weights{rank_and_count()[0]}.pt")
    return module

fitting.train = train_and_save
metrics = fitting.fit(recipe, split, out / "run", "cpu", devices=2)
rank, count = rank_and_count()
times = sum(path.endswith("metrics.json") for path in written)
(out / f"record{rank}.json").write_text(json.dumps({"count": count, "times": times, "metrics": metrics}))
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """The folder of two processes that trained together, on the CPU over gloo."""
    out = tmp_path_factory.mktemp("together")
    spoken_corpus(out / "data" / "made", voices=9, clips=3)
    script = out / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, str(script), str(out)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return out


def record(out: Path, rank: int) -> dict:
    return json.loads((out / f"record{rank}.json").read_text())


def test_both_end_with_the_same_weights(together):
    first, second = (torch.load(together / f"weights{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_one_of_them_writes_the_metrics_and_both_return_them(together):
    first, second = record(together, 0), record(together, 1)
    assert first["count"] == second["count"] == 2
    assert (first["times"], second["times"]) == (1, 0)
    assert first["metrics"] == second["metrics"] == json.loads((together / "run/metrics.json").read_text())


def test_the_validation_of_both_is_judged_together(together):
    epoch = record(together, 0)["metrics"]["epoch"]
    predictions = evaluate.read(together / "run" / "validation.csv")
    logits, targets = torch.from_numpy(predictions.logits), torch.from_numpy(predictions.targets)
    allowed = torch.tensor([label in ("sad", "happy") for label in LABELS])
    loss = masked_cross_entropy(logits, targets, allowed.expand(len(targets), -1))
    logged = curves.read(together / "run" / "curves.csv")[epoch]
    assert logged.validation_loss == pytest.approx(float(loss), abs=0.02)  # bfloat16
