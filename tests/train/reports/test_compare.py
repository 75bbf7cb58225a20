"""Comparison of runs: table, figure, and errors that say what to do."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from train.cli import app
from train.errors import RunError
from train.reports import compare
from train.reports.compare import DEPENDENT, INDEPENDENT

MEASURED = {"accuracy": 60.0, "accuracy_ci95": [50.0, 70.0], "uar": 58.5, "uar_ci95": [48.0, 69.0]}
FOLD = {"run": "ravdess_fold0", "split": "ravdess_fold0", "epoch": 3, "macro_f1": 57.1, "ece": 0.1} | MEASURED


def folder(path: Path, name: str, content: dict | str) -> Path:
    """`path` with one file of results."""
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def runs(tmp_path) -> list[Path]:
    by_file = FOLD | {"split": "random_by_file", "speaker_dependent": True, "accuracy": 65.0}
    out = {"mean_uar": 40.0, "emovo": {**MEASURED, "classes": ["sad"]}, "command": "…"}
    return [
        folder(tmp_path / "net" / "ravdess_fold0", "metrics.json", FOLD),
        folder(tmp_path / "net" / "random_by_file", "metrics.json", by_file),
        folder(tmp_path / "net" / "leave_one_corpus_out", "protocol.json", out),
        folder(tmp_path / "net" / "everyone", "metrics.json", {"split": "everyone", "epoch": 7}),
    ]


def run(*arguments: object):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_table_has_a_row_for_each_number_and_names_the_test(runs):
    assert run(*runs).stdout.splitlines()[2:] == [
        "| net/ravdess_fold0 | ravdess_fold0 | 60.0 (50.0–70.0) | 58.5 (48.0–69.0) | 57.1 | 0.1 |",
        "| net/random_by_file | random_by_file, speaker-dependent | 65.0 (50.0–70.0) | 58.5 (48.0–69.0) "
        "| 57.1 | 0.1 |",
        "| net/leave_one_corpus_out | emovo, unseen | 60.0 | 58.5 (48.0–69.0) |  |  |",
        "| net/leave_one_corpus_out | mean of the corpora |  | 40.0 |  |  |",
        "| net/everyone | none: trained on everyone |  |  |  |  |",
    ]


def test_the_folder_gets_table_and_figure(runs, tmp_path):
    result = run(*runs, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert (tmp_path / "out" / "comparison.md").read_text() == result.stdout
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["speaker_dependent"] for row in rows] == ["False", "True", "False", "False", "False"]
    assert (rows[0]["uar"], rows[0]["uar_low"], rows[0]["uar_high"]) == ("58.5", "48.0", "69.0")
    assert (rows[3]["accuracy"], rows[3]["uar"], rows[3]["uar_low"]) == ("", "40.0", "")


def test_speaker_dependent_bars_look_different_and_are_labelled(runs):
    drawn = compare.figure(compare.rows(runs))
    _, uar = drawn.axes
    faces = [(bar.get_hatch(), bar.get_facecolor()) for bar in uar.patches]
    assert len(faces) == 4  # nothing was measured of the run on everyone
    assert [hatch for hatch, _ in faces] == [None, "///", None, None]
    assert faces[1][1] != faces[0][1] == faces[2][1]
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels == ["voices never heard in training", "speaker-dependent: flatters"]
    assert INDEPENDENT != DEPENDENT


def test_bars_carry_their_intervals(runs):
    accuracy, _ = compare.figure(compare.rows(runs[:1])).axes
    assert [list(line.get_xdata()) for line in accuracy.lines] == [[50.0, 70.0]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "", "has no results yet: neither metrics.json nor protocol.json is in it"),
        ("metrics.json", "{", r"metrics\.json is not what fit or crossval writes .*: run it again"),
        ("metrics.json", {"split": "ravdess_fold0"}, "is not what fit or crossval writes"),
        ("protocol.json", {"folds": []}, "is not what fit or crossval writes"),
    ],
)
def test_a_folder_without_results_is_named(tmp_path, name, content, message):
    with pytest.raises(RunError, match=message):
        compare.rows([folder(tmp_path / "run", name, content)])


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "nowhere is no folder: name one that fit or crossval made" in result.stderr


def test_a_report_is_kept_without_weights_and_logs(runs, tmp_path):
    for name in (
        "README.md",
        "predictions.csv",
        "curves.png",
        "last.ckpt",
        "split.csv",
        "events.out.tfevents.1",
    ):
        (runs[0] / name).write_text(name)
    (runs[0] / "bundle").mkdir()
    (runs[0] / "bundle" / "model.safetensors").write_text("weights")
    assert run(runs[0], "--keep", tmp_path / "kept").exit_code == 0
    copied = tmp_path / "kept" / "net" / "ravdess_fold0"
    assert sorted(path.name for path in copied.iterdir()) == [
        *("README.md", "curves.png", "metrics.json", "predictions.csv")
    ]
    assert json.loads((copied / "metrics.json").read_text()) == FOLD


def test_a_protocol_is_kept_with_its_folds(runs, tmp_path):
    folder(runs[2] / "without_emovo", "metrics.json", FOLD)
    copied = compare.keep(runs[2], tmp_path / "kept")
    assert {path.relative_to(copied).as_posix() for path in copied.rglob("*.json")} == {
        "protocol.json",
        "without_emovo/metrics.json",
    }


def test_a_run_without_results_is_not_kept(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="no results yet"):
        compare.keep(tmp_path / "run", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
