"""`batch`: archives to Parquet, wherever they lie, once each whatever happens on the way."""

import json
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from support import ROOT, SAMPLE_RATE, random_bundle, syllables, write_wav
from typer.testing import CliRunner

from ser_core import Recognizer
from ser_core.commands.batch import recordings
from ser_core.commands.batch.output import MANIFEST
from ser_core.commands.batch.table import SCHEMA
from ser_core.commands.cli import app
from ser_core.emotions import LABELS

# Kills itself where the n-th part is about to be put in its place.
KILLED = """
import os, signal, sys
times = int(sys.argv[1])
def watch(name, args):
    global times
    if name == "os.rename" and str(args[1]).endswith(".parquet"):
        times -= 1
        if not times:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from ser_core.commands.batch import recordings
recordings.CHUNK_FILES = 4
from ser_core.commands.cli import app
app(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    """Twenty recordings: some broken, one silent, one in a folder below."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "more").mkdir()
    for number in range(18):
        write_wav(folder / f"{number:02d}.wav", syllables(1 + number % 3, seed=number))
    (folder / "05.wav").write_text("no recording")
    write_wav(folder / "silent.wav", np.zeros(SAMPLE_RATE))
    write_wav(folder / "more" / "x.wav", syllables(1))
    return folder


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(recordings, "CHUNK_FILES", 4)


def run(*arguments):
    return CliRunner().invoke(app, ["batch", *map(str, arguments)])


def rows(out: Path) -> list[dict]:
    """Every row of a folder, as any reader of Parquet folders finds them."""
    table = pyarrow.dataset.dataset(out, format="parquet").to_table()
    assert table.schema.equals(SCHEMA)
    return sorted(table.to_pylist(), key=lambda row: (row["source"], row["segment"] or 0))


def test_a_row_for_each_segment_and_one_for_what_has_none(calls, model, tmp_path):
    result = run(calls, "--out", tmp_path / "out", "--model", model)
    table = rows(tmp_path / "out")
    assert result.exit_code == 1
    assert "20 done, 1 of them could not be read" in result.stderr
    assert {row["source"] for row in table} == {str(path) for path in calls.rglob("*.wav")}

    [broken] = [row for row in table if row["source"].endswith("05.wav")]
    assert (broken["error"], broken["segment"], broken["label"]) == ("unsupported_format", None, None)
    assert "export" in broken["message"]
    [silent] = [row for row in table if row["source"].endswith("silent.wav")]
    assert (silent["label"], silent["segment"], silent["duration"]) == ("no_speech", None, 1.0)
    assert silent["warnings"]


def test_rows_say_what_the_library_says(calls, model, tmp_path):
    run(calls / "02.wav", "--out", tmp_path / "out", "--model", model)
    expected = Recognizer.load(model, "cpu").analyze_file(calls / "02.wav")
    table = rows(tmp_path / "out")
    assert [(row["start"], row["end"], row["label"]) for row in table] == [
        (segment.start, segment.end, segment.label) for segment in expected.segments
    ]
    for number, (row, segment) in enumerate(zip(table, expected.segments, strict=True)):
        assert row["segment"] == number
        assert [row[label] for label in LABELS] == pytest.approx(list(segment.probabilities.values()))
        assert (row["valence"], row["snr_db"]) == pytest.approx((segment.valence, expected.quality.snr_db))


def test_the_longest_name_of_a_recording_is_a_row_like_others(model, tmp_path):
    name = f"{'n' * 251}.wav"
    (tmp_path / "calls").mkdir()
    write_wav(tmp_path / "calls" / name, syllables(1))
    result = run(tmp_path / "calls", "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 0
    assert {(row["source"], row["error"]) for row in rows(tmp_path / "out")} == {
        (str(tmp_path / "calls" / name), None)
    }


def test_given_again_it_does_nothing_twice(calls, model, tmp_path, small_chunks):
    arguments = (calls, "--out", tmp_path / "out", "--model", model)
    run(*arguments)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = run(*arguments)
    assert "20 recordings, 20 of them done before" in again.stderr
    assert again.exit_code == 1  # one could not be read then
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


def test_killed_anywhere_it_goes_on_with_nothing_lost_or_doubled(calls, model, tmp_path, small_chunks):
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, "3", "batch", calls, "--out", out, "--model", model]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=240)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(rows(out)) > 0
    # Killed between a part's coming and its note: that part's recordings are done again.
    manifest = (out / MANIFEST).read_text().splitlines(keepends=True)
    (out / MANIFEST).write_text("".join(manifest[:-1]))
    recordings.CHUNK_FILES = 3  # and fall into other chunks

    resumed = run(calls, "--out", out, "--model", model)
    run(calls, "--out", tmp_path / "whole", "--model", model)
    assert "4 of them done before" in resumed.stderr
    assert not list(out.glob(".*"))
    assert_same(rows(out), rows(tmp_path / "whole"))


def assert_same(left: list[dict], right: list[dict]) -> None:
    """The same rows; what shares a batch may move the last digits of a probability."""
    keys = ("source", "segment", "start", "end", "label", "error", "duration")
    assert [[row[key] for key in keys] for row in left] == [[row[key] for key in keys] for row in right]
    for a, b in zip(left, right, strict=True):
        assert [a[label] or 0 for label in LABELS] == pytest.approx(
            [b[label] or 0 for label in LABELS], abs=1e-4
        )


def test_a_url_is_read_as_a_folder_is(calls, model, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.put(str(calls), "/archive", recursive=True)
    memory.pipe_file("/archive/notes.txt", b"no recording")
    try:
        run("memory://archive", "memory://archive/nothing", "--out", tmp_path / "url", "--model", model)
    finally:
        memory.rm("/archive", recursive=True)
    run(calls, "--out", tmp_path / "local", "--model", model)
    *present, absent = sorted(rows(tmp_path / "url"), key=lambda row: row["source"].endswith("nothing"))
    assert (absent["source"], absent["error"]) == ("memory://archive/nothing", "not_found")
    for row in present:
        row["source"] = row["source"].replace("memory://archive", str(calls))
    assert_same(present, rows(tmp_path / "local"))


def test_a_pattern_in_a_url_names_what_it_matches(calls):
    memory = fsspec.filesystem("memory")
    memory.put(str(calls), "/archive", recursive=True)
    try:
        expanded, remarks = recordings.expand(["memory://archive/0*.wav", "memory://archive/more"])
        memory.pipe_file("/archive/more/notes.txt", b"no recording")
        left_out = recordings.expand(["memory://archive/more"])[1]
    finally:
        memory.rm("/archive", recursive=True)
    names = [recording.source.removeprefix("memory://archive/") for recording in expanded]
    assert names == [*(f"{number:02d}.wav" for number in range(10)), "more/x.wav"]
    assert remarks == []
    assert left_out == ["1 file was not looked at (.txt 1)"]


def test_what_cannot_be_fetched_is_a_row(model, tmp_path, calls):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/archive/a.wav", (calls / "00.wav").read_bytes())
    [recording], _ = recordings.expand(["memory://archive/a.wav"])
    memory.rm("/archive", recursive=True)
    with pytest.raises(recordings.AudioError) as refused:
        recordings.fetch(recording, tmp_path, "copy")
    assert refused.value.code == "not_found"


def test_chunks_are_bounded_in_files_and_bytes():
    many = [recordings.Recording(f"{number}", "", size=100_000_000) for number in range(5)]
    huge = recordings.Recording("huge", "", size=10**12)
    assert [len(chunk) for chunk in recordings.chunks([*many, huge, *many])] == [2, 2, 1, 1, 2, 2, 1]


def test_results_of_another_model_are_not_mixed(calls, model, tmp_path):
    run(calls / "00.wav", "--out", tmp_path / "out", "--model", model)
    other = random_bundle(tmp_path / "other", version="0.2")
    refused = run(calls / "01.wav", "--out", tmp_path / "out", "--model", other)
    assert refused.exit_code == 2
    assert "other work" in refused.stderr


def test_a_folder_of_someone_elses_parquet_is_left_alone(calls, model, tmp_path):
    (tmp_path / "part-0.parquet").write_bytes(b"theirs")
    refused = run(calls, "--out", tmp_path, "--model", model)
    assert refused.exit_code == 2
    assert (tmp_path / "part-0.parquet").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--engine", "spark"], "local, ray"),
        (["--gpus", "2"], "--engine ray"),
        (["--model", "missing"], "missing"),
        (["zzz://bucket"], "zzz"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_what_is_wrong(calls, tmp_path, arguments, named):
    result = run(calls, *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert named in result.stderr


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_what_to_install(calls, tmp_path):
    result = run(calls, "--engine", "ray", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "pip install -r requirements-scale.txt" in result.stderr


def test_ray_gives_the_same_rows(calls, model, tmp_path, small_chunks):
    pytest.importorskip("ray", reason="needs requirements-scale.txt")
    result = run(calls, "--engine", "ray", "--out", tmp_path / "ray", "--model", model)
    run(calls, "--out", tmp_path / "local", "--model", model)
    assert result.exit_code == 1
    assert rows(tmp_path / "ray") == rows(tmp_path / "local")


def test_the_manifest_names_each_recording_once(calls, model, tmp_path, small_chunks):
    out = tmp_path / "out"
    run(calls, "--out", out, "--model", model)
    heading, *parts = map(json.loads, (out / MANIFEST).read_text().splitlines())
    assert heading["model"].startswith("random 0.1 ")
    named = [source for part in parts for source in part["sources"]]
    assert sorted(named) == sorted(map(str, calls.rglob("*.wav")))
    for part in parts:
        assert set(pq.read_table(out / part["part"])["source"].to_pylist()) == set(part["sources"])
