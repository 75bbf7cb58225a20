"""A killed run ends as an uninterrupted one, and runs are reproducible by seed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import ROOT, eventually, spoken_corpus
from typer.testing import CliRunner

from train import corpora
from train.cli import app
from train.fitting.fit import fit
from train.protocols.crossval import split_named
from train.recipe import read
from train.reports import curves

SPLIT = "speaker_fold0of3"
RECIPE = """
name = "killed"
architecture = "parallel_2cnn_transformer"
corpora = ["made"]
epochs = 4
batch_size = 4
ema_decay = 0.9
class_weights = 0.5
[augmentation]
crop = 0.5
time_stretch = 0.1
time_mask = 0.1
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with one corpus, `made`: nine voices, three clips each."""
    folder = tmp_path_factory.mktemp("data")
    spoken_corpus(folder / "made", voices=9, clips=3)
    return folder


@pytest.fixture(scope="module")
def split(data):
    return split_named(SPLIT, corpora.read(data, ["made"]))


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def arguments(data: Path, recipe: Path, out: Path) -> list[str]:
    """The arguments of `python -m train` for this run."""
    options = {"recipe": recipe, "data": data, "out": out, "split": SPLIT, "device": "cpu"}
    return ["fit", "--no-cache", *(f"--{name}={value}" for name, value in options.items())]


def start(*command: str) -> subprocess.Popen:
    """`python -m train` with the arguments `command`, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "train", *command],
        cwd=ROOT,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_in_an_epoch(process: subprocess.Popen, out: Path) -> None:
    """Kills the run once an epoch is saved and the next one is under way."""
    assert eventually(lambda: (out / "last.ckpt").is_file() or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "metrics.json").exists()


def outcome(out: Path) -> tuple[dict, str, str]:
    """The metrics but for the folder's name, the curves, and the logits of the test part."""
    metrics = json.loads((out / "metrics.json").read_text())
    metrics.pop("run")
    return metrics, (out / "curves.csv").read_text(), (out / "predictions.csv").read_text()


def epochs(out: Path) -> list[int]:
    return [row.epoch for row in curves.read(out / "curves.csv")]


def test_a_killed_run_ends_as_one_that_was_not(data, split, recipe, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    fit(read(recipe), split, whole, "cpu")
    command = arguments(data, recipe, killed)
    kill_in_an_epoch(start(*command), killed)
    resumed = CliRunner().invoke(app, command)
    assert resumed.exit_code == 0, resumed.output
    assert outcome(killed) == outcome(whole)
    assert epochs(killed) == [0, 1, 2, 3]


def test_a_plateau_is_remembered(split, recipe, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    plateau = replace(read(recipe), schedule="plateau")
    fit(plateau, split, whole, "cpu")
    fit(replace(plateau, epochs=2), split, broken, "cpu")
    for name in ("metrics.json", "recipe.json"):  # the same run, told to go on for longer
        (broken / name).unlink()
    fit(plateau, split, broken, "cpu")
    assert outcome(broken) == outcome(whole)
    ended = [torch.load(out / "last.ckpt", weights_only=True)["lr_schedulers"] for out in (whole, broken)]
    assert ended[0] == ended[1]
    assert ended[0][0]["last_epoch"] == plateau.epochs


def test_a_run_whose_folder_was_moved_knows_its_best_epoch(split, recipe, tmp_path):
    hopeless = replace(read(recipe), epochs=1, schedule="plateau", learning_rate=1e-9, ema_decay=0.0)
    began, moved = tmp_path / "began", tmp_path / "moved"
    fit(hopeless, split, began, "cpu")
    best = (began / "best.ckpt").read_bytes()
    for name in ("metrics.json", "recipe.json"):  # the same run, told to go on for longer
        (began / name).unlink()
    began.rename(moved)
    fit(replace(hopeless, epochs=2), split, moved, "cpu")
    first, second = curves.read(moved / "curves.csv")
    assert second.validation_loss > first.validation_loss
    assert (moved / "best.ckpt").read_bytes() == best


def test_a_run_that_lost_its_patience_does_not_go_on(split, recipe, tmp_path):
    hopeless = replace(read(recipe), epochs=20, patience=1, learning_rate=1e-9, ema_decay=0.0)
    out = tmp_path / "run"
    first = fit(hopeless, split, out, "cpu")
    stopped = epochs(out)
    assert len(stopped) < 20
    (out / "metrics.json").unlink()
    assert fit(hopeless, split, out, "cpu") == first
    assert epochs(out) == stopped


def test_the_same_seed_gives_the_same_run_and_another_one_another(split, recipe, tmp_path):
    short = replace(read(recipe), epochs=1)
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        fit(replace(short, seed=seed), split, tmp_path / name, "cpu")
    assert outcome(tmp_path / "one") == outcome(tmp_path / "same")
    assert outcome(tmp_path / "one")[1] != outcome(tmp_path / "other")[1]
