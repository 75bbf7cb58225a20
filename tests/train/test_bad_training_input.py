"""Invalid input of a training run gives an error that names it and says what to do."""

import csv
from pathlib import Path

import pytest
from support import spoken_corpus
from typer.testing import CliRunner

from train.cli import app
from train.data.cache import FeatureCache

RECIPE = """
name = "bad"
architecture = "parallel_cnn_transformer"
corpora = ["made"]
epochs = 1
batch_size = 8
"""


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Six voices, two clips each, sad and happy."""
    return spoken_corpus(tmp_path / "data" / "made", voices=6, clips=2)


def fit(corpus: Path, split: str = "everyone", extra: str = "") -> tuple[int, str]:
    """Exit code of `python -m train fit`, and what it complains of."""
    recipe = corpus.parent.parent / "recipe.toml"
    recipe.write_text(RECIPE + extra)
    options = {"recipe": recipe, "data": corpus.parent, "out": corpus.parent.parent / "run", "split": split}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    result = CliRunner().invoke(app, ["fit", "--no-cache", "--device=cpu", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stderr


def change(corpus: Path, column: str, value: str, only: str = "") -> None:
    """Puts `value` in `column` of every row, or of those of the file `only`."""
    table = corpus / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if only in ("", row["file"]):
            row[column] = value
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_broken_recording_is_named(corpus):
    (corpus / "3.wav").write_bytes(b"RIFF" + bytes(400))
    code, errors = fit(corpus)
    assert code == 1
    assert f"error: {corpus / '3.wav'}: " in errors
    assert "python -m train corpora" in errors


def test_an_empty_class_is_named(corpus, caplog):
    code, _ = fit(corpus)
    assert code == 0
    assert "no clip to train on (made) is neutral or calm or angry" in caplog.text
    assert "add a corpus that has it" in caplog.text


def test_a_single_class_teaches_nothing(corpus):
    change(corpus, "emotion", "sad")
    code, errors = fit(corpus)
    assert code == 1
    assert "error: everyone: every clip to train on is sad (made): add clips of other classes" in errors


def test_one_speaker_alone_is_said_aloud(corpus, caplog):
    change(corpus, "speaker", "Ada")
    code, _ = fit(corpus)
    assert code == 0
    assert "all clips to train on are of one speaker (made/Ada)" in caplog.text


@pytest.mark.parametrize("split", ["speaker_fold0of2", "without_speaker_made_Ada", "without_made"])
def test_one_speaker_cannot_be_split(corpus, split):
    change(corpus, "speaker", "Ada")
    code, errors = fit(corpus, split)
    assert code == 1
    (line,) = errors.strip().splitlines()
    assert line.startswith("error: ")
    assert "add" in line


def test_a_label_outside_the_map_is_named_with_its_line(corpus):
    change(corpus, "emotion", "boredom", only="3.wav")
    code, errors = fit(corpus)
    assert code == 1
    assert f"error: {corpus / 'metadata.csv'}, line 5: no emotion is called 'boredom'" in errors


def test_a_table_without_a_column_is_named(corpus):
    table = corpus / "metadata.csv"
    table.write_text(table.read_text().replace("file,speaker,emotion", "file,voice,emotion"))
    code, errors = fit(corpus)
    assert code == 1
    assert f"error: {table} lacks the column speaker" in errors


def test_a_plateau_needs_validation(corpus):
    code, errors = fit(corpus, extra='schedule = "plateau"\n')
    assert code == 1
    assert "error: everyone has no validation part, which the plateau schedule follows" in errors


def unread(monkeypatch) -> None:
    """From now on no clip may be decoded to train on it."""

    def refuse(*_: object) -> None:
        raise AssertionError("training has begun")

    monkeypatch.setattr(FeatureCache, "features", refuse)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("times", "problem"),
    [
        (("99", "100"), "start 99 s is behind the end of the recording"),
        (("0", "100"), "end 100 s is behind the end of the recording"),
        (("0.1", "0.15"), "the stretch 0.1 to 0.15 s holds less than 0.1 s"),
    ],
)
def test_times_outside_of_a_recording_stop_a_run_before_it_starts(
    corpus, tmp_path, monkeypatch, part, times, problem
):
    parts = {"train": "4.wav", "validation": "1.wav", "test": "3.wav"}
    for column, value in zip(("start", "end"), times, strict=True):
        change(corpus, column, "")
        change(corpus, column, value, only=parts[part])
    of = dict.fromkeys(("0.wav", "1.wav"), "validation") | dict.fromkeys(("2.wav", "3.wav"), "test")
    rows = [f"{of.get(f'{number}.wav', 'train')};{number}.wav" for number in range(12)]
    split = tmp_path / "split.csv"
    split.write_text("\n".join(["Part;File", *rows, ";"]))  # as a spreadsheet writes it
    unread(monkeypatch)
    code, errors = fit(corpus, str(split))
    assert code == 1
    assert f"error: {corpus / parts[part]}: {problem}" in errors
    assert not (tmp_path / "run").exists()


def test_all_bad_clips_are_named_at_once(corpus, monkeypatch):
    for number in range(11):
        (corpus / f"{number}.wav").write_bytes(b"no sound" * 100)
    unread(monkeypatch)
    code, errors = fit(corpus)
    assert code == 1
    assert all(f"{corpus / f'{number}.wav'}: unsupported_format: " in errors for number in range(10))
    assert f"{corpus / '10.wav'}" not in errors
    assert "11 in all, 1 of them not shown." in errors


def test_two_labels_for_one_recording_stop_a_run(corpus, monkeypatch):
    with (corpus / "metadata.csv").open("a") as table:
        table.write("3.wav,01,angry\n")
    unread(monkeypatch)
    code, errors = fit(corpus)
    assert code == 1
    assert f"error: {corpus / '3.wav'}: the whole file is happy and the whole file is angry" in errors


def test_cross_validation_checks_the_clips_of_every_fold_before_the_first(corpus, monkeypatch):
    recipe = corpus.parent.parent / "recipe.toml"
    recipe.write_text(RECIPE)
    for name in ("1.wav", "11.wav"):  # of two speakers
        (corpus / name).write_bytes(b"no sound" * 100)
    unread(monkeypatch)
    out = corpus.parent.parent / "runs"
    arguments = [
        f"--recipe={recipe}",
        f"--data={corpus.parent}",
        f"--out={out}",
        "--protocol=speaker_kfold:3",
    ]
    result = CliRunner().invoke(app, ["crossval", "--no-cache", "--device=cpu", *arguments])
    assert result.exit_code == 1
    assert f"error: {corpus / '1.wav'}: unsupported_format: " in result.stderr
    assert f"{corpus / '11.wav'}: unsupported_format: " in result.stderr
    assert not list(out.glob("*/*"))
