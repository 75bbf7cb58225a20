"""Protocols: their splits, their summaries, and their commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import syllables, write_wav
from typer.testing import CliRunner

from ser_core.emotions import LABELS
from train.cli import app
from train.corpora import Clip
from train.corpora.splits import Split, SplitError
from train.protocols.crossval import folder_name, split_named, splits, summarise
from train.recipe import Recipe
from train.reports import evaluate
from train.reports.evaluate import Predictions

RECIPE = Recipe("tiny_run", "parallel_cnn_transformer", corpora=("ravdess",), epochs=1, batch_size=8)
FOLD_KEYS = ["split", "epoch", "clips", "accuracy", "uar", "macro_f1", "ece"]


@pytest.fixture
def clips(tmp_path) -> list[Clip]:
    """24 RAVDESS actors and 7 of EmoDB, with a file for each of two emotions."""
    clips = []
    for corpus, speakers in (("ravdess", 24), ("emodb", 7)):
        for number in range(1, speakers + 1):
            for emotion in ("happy", "sad"):
                path = tmp_path / f"{corpus}-{number:02d}-{emotion}.wav"
                path.write_bytes(path.name.encode())
                clips.append(Clip(corpus, path, f"{corpus}/{number:02d}", "", emotion, ""))
    return clips


def pretend_run(split: Split, out: Path) -> None:
    """What `fit` would leave of a model that is right about happy and wrong about sad."""
    (out / split.name).mkdir(parents=True)
    logits = np.zeros((len(split.test), len(LABELS)))
    logits[:, LABELS.index("happy")] = 2.0
    predictions = Predictions(
        files=tuple(clip.path.name for clip in split.test),
        corpora=tuple(clip.corpus for clip in split.test),
        speakers=tuple(clip.speaker for clip in split.test),
        targets=np.array([LABELS.index(clip.emotion) for clip in split.test]),
        logits=logits,
    )
    evaluate.write(predictions, out / split.name / "predictions.csv")
    metrics = {"run": split.name, "split": split.name, "epoch": 0} | evaluate.measure(predictions)
    (out / split.name / "metrics.json").write_text(json.dumps(metrics))


def summary(protocol: str, clips: list[Clip], out: Path) -> dict:
    for split in splits(protocol, clips):
        pretend_run(split, out)
    result = summarise(RECIPE, protocol, clips, out)
    assert json.loads((out / "protocol.json").read_text()) == result
    return result


def test_five_folds_of_ravdess_are_summarised_as_published_checkpoints_have_them(clips, tmp_path):
    result = summary("ravdess_5fold", clips, tmp_path / "runs")
    assert list(result) == [
        *("selection", "trained_on", "accuracy", "uar", "macro_f1", "ece"),
        *("interval", "folds", "speakers", "genders", "command"),
    ]
    assert result["selection"] == "validation actors"
    assert result["interval"] == "95 %, bootstrap over the 24 actors of the pooled test predictions"
    assert [fold["split"] for fold in result["folds"]] == [f"ravdess_fold{i}" for i in range(5)]
    assert [list(fold) for fold in result["folds"]] == [FOLD_KEYS] * 5
    assert list(result["accuracy"]) == ["mean", "ci95"]
    assert result["accuracy"]["mean"] == 50
    assert result["command"] == (
        "python -m train crossval --recipe train/recipes/tiny_run.toml --protocol ravdess_5fold"
    )


def test_corpora_left_out_are_summarised_as_published_checkpoints_have_them(clips, tmp_path):
    result = summary("leave_one_corpus_out", clips, tmp_path / "runs")
    assert list(result) == ["selection", "trained_on", "mean_uar", "ravdess", "emodb", "command"]
    assert result["selection"] == "validation speakers"
    assert list(result["emodb"]) == [
        *("uar", "uar_ci95", "accuracy", "clips", "speakers", "trained_on", "classes"),
        *("uar_all_answers", "uar_four_classes", "epoch"),
    ]
    assert result["emodb"]["trained_on"] == ["ravdess"]
    assert result["emodb"]["classes"] == ["happy", "sad"]


@pytest.mark.parametrize(("protocol", "runs"), [("speaker_kfold:5", 5), ("leave_one_speaker_out", 31)])
def test_protocols_by_speaker_test_every_speaker(clips, tmp_path, protocol, runs):
    result = summary(protocol, clips, tmp_path / "runs")
    assert len(result["folds"]) == runs
    assert len(result["speakers"]) == 31
    assert (result["protocol"], result["speaker_dependent"]) == (protocol, False)
    assert result["selection"] == "validation speakers"
    assert "31 speakers" in result["interval"]
    assert result["command"].endswith(f"--protocol {protocol}")


def test_a_random_split_is_stored_as_speaker_dependent(clips, tmp_path):
    result = summary("random_by_file", clips, tmp_path / "runs")
    assert result["speaker_dependent"] is True
    assert result["protocol"] == "random_by_file, speaker-dependent"
    assert result["selection"] == "validation recordings"


def test_a_split_file_is_a_protocol_of_one_run(clips, tmp_path):
    rows = [
        f"{part},{clip.path.name}"
        for part in ("train", "validation", "test")
        for clip in clips_of(clips, part)
    ]
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(["part,file", *rows]))
    result = summary(str(table), clips, tmp_path / "runs")
    assert [fold["split"] for fold in result["folds"]] == ["mine"]
    assert result["speaker_dependent"] is False
    assert splits(f"speaker_dependent:{table}", clips)[0].speaker_dependent


def clips_of(clips: list[Clip], part: str) -> tuple[Clip, ...]:
    return getattr(split_named("ravdess_fold0", clips), part)


@pytest.mark.parametrize(
    "name",
    [
        *("everyone", "ravdess_fold3", "without_emodb", "speaker_fold2of4", "random_by_file"),
        "without_speaker_emodb_03",
    ],
)
def test_a_single_run_is_found_by_its_name(clips, name):
    assert split_named(name, clips).name == name


def test_a_run_of_a_protocol_is_the_one_that_its_name_finds(clips):
    for protocol in ("speaker_kfold:4", "leave_one_speaker_out", "leave_one_corpus_out", "random_by_file"):
        split = splits(protocol, clips, seed=7)[-1]
        assert split_named(split.name, clips, seed=7) == split


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ravdess_fold5", "there are ravdess_fold0, "),
        ("speaker_fold4of4", "there are speaker_fold0of4, "),
        ("without_speaker_savee_DC", "there are without_speaker_emodb_01, "),
        ("without_savee", "emodb, ravdess"),
        ("fold0", "there are everyone, "),
        ("nowhere.csv", r"nowhere\.csv cannot be read"),
    ],
)
def test_a_run_that_does_not_exist_is_refused_with_those_that_do(clips, name, message):
    with pytest.raises(SplitError, match=message):
        split_named(name, clips)


def test_an_unknown_protocol_is_refused_with_those_there_are(clips):
    with pytest.raises(SplitError, match="no protocol is called speaker_kfold; there are ravdess_5fold, "):
        splits("speaker_kfold", clips)


def test_folds_by_actor_need_ravdess(clips):
    with pytest.raises(
        SplitError, match=r"ravdess_fold0: no speaker to test, such as ravdess/02, .*\(emodb\)"
    ):
        splits("ravdess_5fold", [clip for clip in clips if clip.corpus == "emodb"])


@pytest.mark.parametrize(
    ("protocol", "folder"),
    [
        ("ravdess_5fold", "ravdess_5fold"),
        ("speaker_kfold:5", "speaker_kfold_5"),
        ("some/where/mine.csv", "mine"),
        ("speaker_dependent:some/where/mine.csv", "speaker_dependent_mine"),
    ],
)
def test_a_protocol_names_its_folder(protocol, folder):
    assert folder_name(protocol) == folder


def voices(folder: Path) -> Path:
    """A corpus in EmoDB's naming: six voices, sad ones low and happy ones high."""
    (folder / "emodb").mkdir(parents=True)
    for speaker in ("03", "08", "09", "10", "11", "12"):
        for code, pitch_hz in (("T", 90.0), ("F", 240.0)):
            name = f"{speaker}a01{code}a.wav"
            write_wav(folder / "emodb" / name, syllables(1, seed=int(speaker), pitch_hz=pitch_hz))
    return folder


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_corpora_without_tables_are_trained_and_tested_by_speaker_from_the_command_line(tmp_path, caplog):
    data, out = voices(tmp_path / "data"), tmp_path / "runs"
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'name = "tiny"\narchitecture = "parallel_cnn_transformer"\ncorpora = ["emodb"]\n'
        "epochs = 1\nbatch_size = 8\n"
    )
    common = ("--recipe", recipe, "--data", data, "--device", "cpu")
    result = run("crossval", *common, "--protocol", "speaker_kfold:2", "--out", out / "folds")
    assert result.exit_code == 0, result.stderr
    protocol = json.loads((out / "folds" / "protocol.json").read_text())
    assert [fold["clips"] for fold in protocol["folds"]] == [6, 6]

    result = run("fit", *common, "--split", "random_by_file", "--out", out / "random")
    assert result.exit_code == 0, result.stderr
    assert "random_by_file is speaker-dependent" in caplog.text

    table = out / "random" / "split.csv"
    leaking = run("fit", *common, "--split", table, "--out", out / "again")
    assert leaking.exit_code == 1
    assert "share the speaker" in leaking.stderr
    assert not (out / "again").exists()


def test_what_cannot_be_split_is_one_line_on_the_command_line(tmp_path):
    data = voices(tmp_path / "data")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text('name = "tiny"\narchitecture = "parallel_cnn_transformer"\ncorpora = ["emodb"]\n')
    result = run("crossval", "--recipe", recipe, "--data", data, "--protocol", "speaker_kfold:9")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == result.stderr.count("error: ") == 1
