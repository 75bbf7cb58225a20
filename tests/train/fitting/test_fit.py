"""A whole training run on generated voices: learning, resuming, reports, export."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import syllables, write_wav
from typer.testing import CliRunner

from ser_core.checkpoint import bundle as bundles
from train import corpora
from train.augment import Augmentation
from train.cli import app
from train.corpora.splits import Split, ravdess_fold
from train.errors import RunError
from train.export.checkpoint import export
from train.fitting.fit import fit
from train.protocols.crossval import summarise
from train.recipe import Recipe
from train.reports import curves

PITCH_HZ = {"sad": 90.0, "happy": 240.0}
RECIPE = Recipe(
    name="tiny_run",
    architecture="parallel_2cnn_transformer",
    corpora=("ravdess",),
    epochs=1,
    batch_size=8,
    ema_decay=0.5,
    augmentation=Augmentation(crop=0.5, time_stretch=0.1, channel=0.1, time_mask=0.1, frequency_mask=0.1),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A corpus called ravdess: 24 voices, low ones sad and high ones happy, two clips each."""
    folder = tmp_path_factory.mktemp("data") / "ravdess"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "speaker", "gender", "emotion", "language"])
        for actor in range(1, 25):
            for emotion, pitch in PITCH_HZ.items():
                name = f"{actor:02d}-{emotion}.wav"
                write_wav(folder / name, syllables(1, seed=actor, pitch_hz=pitch))
                writer.writerow([name, f"{actor:02d}", "female", emotion, "en"])
    return folder.parent


@pytest.fixture(scope="module")
def clips(data):
    return corpora.read(data, ["ravdess"])


@pytest.fixture(scope="module")
def runs(clips, tmp_path_factory) -> Path:
    """All five folds, trained."""
    out = tmp_path_factory.mktemp("runs") / "ravdess_5fold"
    for fold in range(5):
        split = ravdess_fold(clips, fold)
        fit(RECIPE, split, out / split.name, "cpu")
    return out


def test_a_run_leaves_its_whole_record(runs):
    folder = runs / "ravdess_fold0"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["clips"] == 10
    assert metrics["speakers"] == 5
    assert {"accuracy", "uar", "macro_f1", "ece", "epoch", "temperature"} <= metrics.keys()
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["part"] for row in rows} == {"train", "validation", "test"}
    assert {row["file"] for row in rows if row["speaker"] == "ravdess/01"} == {
        "ravdess/01-sad.wav",
        "ravdess/01-happy.wav",
    }
    assert [row.epoch for row in curves.read(folder / "curves.csv")] == [0]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "Speaker-independent" in (folder / "README.md").read_text()
    with (folder / "per_speaker.csv").open() as file:
        assert {row["speaker"] for row in csv.DictReader(file)} == {
            row["speaker"] for row in rows if row["part"] == "test"
        }
    bundles.verify(folder / "bundle")


def test_a_finished_run_is_not_trained_again(runs, clips):
    folder = runs / "ravdess_fold0"
    before = (folder / "bundle" / "model.safetensors").stat().st_mtime_ns
    assert fit(RECIPE, ravdess_fold(clips, 0), folder, "cpu") == json.loads(
        (folder / "metrics.json").read_text()
    )
    assert (folder / "bundle" / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_that_lacks_a_newer_key_is_the_same_run(runs, clips, tmp_path):
    run = shutil.copytree(runs / "ravdess_fold0", tmp_path / "ravdess_fold0")
    began = json.loads((run / "recipe.json").read_text())
    del began["encoder_epochs"]
    (run / "recipe.json").write_text(json.dumps(began))
    fit(RECIPE, ravdess_fold(clips, 0), run, "cpu")
    assert json.loads((run / "recipe.json").read_text())["encoder_epochs"] == 0


def test_a_run_goes_on_after_its_last_epoch(clips, tmp_path):
    split = ravdess_fold(clips, 0)
    recipe = replace(RECIPE, schedule="plateau")  # one cycle is laid out over all epochs from the start
    fit(recipe, split, tmp_path / "run", "cpu")
    (tmp_path / "run" / "metrics.json").unlink()
    longer = replace(recipe, epochs=2)
    (tmp_path / "run" / "recipe.json").unlink()  # the same run, told to go on for longer
    first = curves.read(tmp_path / "run" / "curves.csv")
    unsaved = replace(first[0], epoch=1)  # the row of an epoch that a kill took before it was saved
    curves.write(tmp_path / "run" / "curves.csv", [*first, unsaved])
    fit(longer, split, tmp_path / "run", "cpu")
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    assert last["global_step"] == 2 * 5  # 34 training clips in batches of 8: no epoch was repeated
    drawn = curves.read(tmp_path / "run" / "curves.csv")
    assert [row.epoch for row in drawn] == [0, 1]
    assert drawn[0] == first[0]
    assert drawn[1].validation_loss < first[0].validation_loss


def test_another_recipe_in_the_same_folder_is_refused(runs, clips):
    with pytest.raises(RunError, match="another recipe"):
        fit(replace(RECIPE, epochs=7), ravdess_fold(clips, 0), runs / "ravdess_fold0", "cpu")


def test_the_network_learns_to_tell_two_voices(clips, tmp_path):
    sure = {"dropout": 0.0, "transformer_dropout": 0.0}
    recipe = replace(RECIPE, epochs=12, learning_rate=2e-3, augmentation=Augmentation(), options=sure)
    metrics = fit(recipe, ravdess_fold(clips, 0), tmp_path / "run", "cpu")
    assert metrics["accuracy"] >= 90


def test_a_model_for_everyone_reports_nothing(clips, tmp_path):
    split = Split("everyone", tuple(clips), (), ())
    metrics = fit(replace(RECIPE, epochs=1), split, tmp_path / "run", "cpu")
    assert set(metrics) == {"run", "split", "epoch"}
    assert (tmp_path / "run" / "bundle" / "bundle.json").is_file()


def test_five_folds_become_a_checkpoint_with_card_and_metrics(runs, clips, tmp_path):
    summary = summarise(RECIPE, "ravdess_5fold", clips, runs)
    assert len(summary["folds"]) == 5
    assert sum(fold["clips"] for fold in summary["folds"]) == 48
    low, high = summary["accuracy"]["ci95"]
    assert 0 <= low <= high <= 100
    shipped = export(runs / "ravdess_fold0", tmp_path / "mine", [runs])
    loaded, _ = bundles.load(tmp_path / "mine")
    assert loaded == shipped
    assert loaded.metrics["protocols"]["ravdess_5fold"] == summary
    card = (tmp_path / "mine" / "README.md").read_text()
    assert f"{summary['accuracy']['mean']:.1f}" in card
    assert "non-commercial" in card


def test_the_command_line_says_what_is_wrong_in_one_line(data, tmp_path):
    runner = CliRunner()
    missing = runner.invoke(app, ["fit", "--recipe", str(tmp_path / "no.toml"), "--data", str(data)])
    assert missing.exit_code == 1
    assert "no.toml" in missing.stderr
    no_corpus = runner.invoke(app, ["corpora", "--data", str(tmp_path)])
    assert no_corpus.exit_code == 1
    assert "metadata.csv is missing" in no_corpus.stderr
    unknown = tmp_path / "unknown.toml"
    unknown.write_text(
        'name = "x"\narchitecture = "whisper_tiny"\npretrained = "nowhere"\ncorpora = ["ravdess"]'
    )
    arguments = ["fit", "--recipe", str(unknown), "--data", str(data), "--out", str(tmp_path / "run")]
    no_weights = runner.invoke(app, arguments)
    assert no_weights.exit_code == 1
    assert "nowhere is neither a file nor one of the published weights" in no_weights.stderr
    report = runner.invoke(app, ["report", str(tmp_path)])
    assert "has no results yet" in report.stderr


def test_the_report_compares_runs(runs, clips):
    summarise(RECIPE, "ravdess_5fold", clips, runs)
    result = CliRunner().invoke(app, ["report", str(runs), str(runs / "ravdess_fold0")])
    assert result.exit_code == 0
    assert "RAVDESS five folds" in result.stdout
    assert "ravdess_fold0" in result.stdout
