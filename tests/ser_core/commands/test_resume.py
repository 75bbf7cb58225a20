"""`analyze` killed on its way goes on with --resume: no recording twice, none missed, no half file."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, random_bundle, syllables, write_wav
from typer.testing import CliRunner

from ser_core.commands.cli import app
from ser_core.commands.journal import Journal
from ser_core.export import files

RECORDINGS, BROKEN_EACH = 40, 10  # every tenth is broken
# Kills itself where it is about to do something for the n-th time, as nothing that it could prepare for.
KILLED = """
import os, signal, sys
event, ending, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
def watch(name, args):
    global times
    if name == event and str(args[name == "os.rename"]).endswith(ending):  # a rename's second is the new name
        times -= 1
        if not times:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from ser_core.commands.cli import app
app(sys.argv[4:])
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    """A folder of short recordings, some of them broken."""
    folder = tmp_path_factory.mktemp("calls")
    for number in range(RECORDINGS):
        path = folder / f"{number:03d}.wav"
        if number % BROKEN_EACH:
            write_wav(path, syllables(1, seed=number))
        else:
            path.write_text("no recording")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["analyze", *map(str, arguments)])


def killed(event: str, ending: str, times: int, *arguments) -> None:
    command = [sys.executable, "-c", KILLED, event, ending, str(times), "analyze", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=240)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def finished_paths(path: Path) -> set[str]:
    """Which recordings the whole lines of the notes name."""
    lines = path.read_bytes().split(b"\n")[1:-1]
    return {json.loads(line)["path"] for line in lines}


def analysed(stderr: str, calls: Path) -> list[str]:
    """The recordings that a run names on stderr, in order."""
    return [
        str(calls / f"{number:03d}.wav")
        for line in stderr.splitlines()
        for number in range(RECORDINGS)
        if f"{calls}/{number:03d}.wav: " in line
    ]


def test_a_folder_of_results_goes_on_where_a_kill_stopped_it(calls, model, tmp_path):
    out = tmp_path / "results"
    killed("os.rename", ".json", 12, calls, "--out", out, "--model", model)
    for path in out.glob("[!.]*"):
        json.loads(path.read_text())  # whole
    before = finished_paths(out / ".progress")
    assert len(before) == len(list(out.glob("[!.]*"))) == 11
    assert list(out.glob(".*.partial"))

    resumed = run(calls, "--out", out, "--model", model, "--resume")
    again = analysed(resumed.stderr, calls)
    assert len(again) == len(set(again))
    assert not before & set(again)
    assert before | set(again) == {str(path) for path in calls.iterdir()}
    assert resumed.exit_code == 1  # the broken ones, of before the kill too
    results = [json.loads(path.read_text())[0] for path in sorted(out.glob("[!.]*"))]
    assert [entry["source"] for entry in results] == sorted(str(path) for path in calls.iterdir())
    assert sum(entry["error"] is not None for entry in results) == RECORDINGS // BROKEN_EACH
    assert not list(out.glob(".*.partial"))


def test_one_file_of_all_results_is_absent_until_it_is_whole_and_as_without_a_kill(calls, model, tmp_path):
    whole, out = tmp_path / "whole.csv", tmp_path / "all.csv"
    killed("open", ".wav", 38, calls, "--out", out, "--format", "csv", "--model", model)
    before = finished_paths(tmp_path / ".all.csv.progress")
    assert before
    assert not out.exists()

    resumed = run(calls, "--out", out, "--format", "csv", "--model", model, "--resume")
    assert sorted([*before, *analysed(resumed.stderr, calls)]) == sorted(map(str, calls.iterdir()))
    run(calls, "--out", whole, "--format", "csv", "--model", model)
    assert_same_rows(out, whole)


def assert_same_rows(left: Path, right: Path) -> None:
    """The same but for the last digit, which depends on what shares a batch."""
    a, b = (list(csv.DictReader(path.open(newline=""))) for path in (left, right))
    assert [(row["source"], row["start"], row["label"]) for row in a] == [
        (row["source"], row["start"], row["label"]) for row in b
    ]
    for left_row, right_row in zip(a, b, strict=True):
        numbers = [(left_row[key], right_row[key]) for key in left_row if key not in ("source", "label")]
        assert all(x == y or float(x) == pytest.approx(float(y), abs=2e-4) for x, y in numbers)


@pytest.fixture
def few(tmp_path) -> Path:
    """Three recordings, the second of which is broken."""
    folder = tmp_path / "few"
    folder.mkdir()
    write_wav(folder / "a.wav", syllables(1))
    (folder / "b.wav").write_text("no recording")
    write_wav(folder / "c.wav", syllables(1, seed=1))
    return folder


@pytest.mark.parametrize(("format_", "out"), [("json", "all.json"), ("json", "out"), ("textgrid", "out")])
def test_what_is_done_is_not_done_again_and_its_failures_still_count(few, model, tmp_path, format_, out):
    arguments = (few, "--format", format_, "--out", tmp_path / out, "--model", model, "--resume")
    first, second = run(*arguments), run(*arguments)
    assert len(first.stderr.splitlines()) == 4
    assert "3 of them done before" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert (first.exit_code, second.exit_code) == (1, 1)


def test_what_was_changed_or_came_or_lost_its_result_is_done(few, model, tmp_path):
    arguments = (few, "--out", tmp_path / "out", "--model", model, "--resume")
    run(*arguments)
    write_wav(few / "b.wav", syllables(2))  # mended
    write_wav(few / "d.wav", syllables(1))
    (tmp_path / "out" / "a.wav.json").unlink()
    second = run(*arguments)
    names = [line.split("few/")[1][:5] for line in second.stderr.splitlines()[1:]]
    assert names == ["a.wav", "b.wav", "d.wav"]
    assert second.exit_code == 0
    assert len(list((tmp_path / "out").glob("*.json"))) == 4


def test_a_finished_run_leaves_no_notes(few, model, tmp_path):
    run(few, "--out", tmp_path / "out", "--model", model)
    run(few, "--out", tmp_path / "all.json", "--model", model)
    assert sorted(os.listdir(tmp_path / "out")) == ["a.wav.json", "b.wav.json", "c.wav.json"]
    assert not list(tmp_path.glob(".*"))


def test_results_of_another_model_or_format_are_not_mixed(few, model, tmp_path):
    run(few, "--out", tmp_path / "out", "--model", model, "--resume")
    other = random_bundle(tmp_path / "other", version="0.2")
    same = ["--model", model]
    for changed in (["--model", other], [*same, "--format", "csv"], [*same, "--precision", "bfloat16"]):
        refused = run(few, "--out", tmp_path / "out", *changed, "--resume")
        assert refused.exit_code == 2
        assert "other work" in refused.stderr
    assert len(list((tmp_path / "out").glob("*.csv"))) == 0


def test_results_of_recordings_judged_together_are_not_mixed_with_others(few, model, tmp_path):
    out = tmp_path / "out"
    killed("os.rename", ".json", 2, few, "--out", out, "--model", model, "--alike")
    refused = run(few, "--out", out, "--model", model, "--resume")
    assert refused.exit_code == 2
    assert "other work" in refused.stderr


def test_stdout_cannot_be_resumed(few, model):
    refused = run(few, "--model", model, "--resume")
    assert refused.exit_code == 2
    assert "--resume needs --out" in refused.stderr
    assert refused.stdout == ""


def test_notes_that_break_off_are_gone_on_with(few, model, tmp_path):
    arguments = (few, "--out", tmp_path / "out", "--model", model, "--resume")
    run(*arguments)
    notes = tmp_path / "out" / ".progress"
    notes.write_bytes(notes.read_bytes()[:-20])  # killed within a line
    second = run(*arguments)
    assert "2 of them done before" in second.stderr
    assert finished_paths(notes) == {str(path) for path in few.iterdir()}


def test_two_runs_at_once_into_one_place_are_refused(few, model, tmp_path):
    (tmp_path / "out").mkdir()
    running = Journal(tmp_path / "out" / ".progress", {})
    refused = run(few, "--out", tmp_path / "out", "--model", model, "--resume")
    assert refused.exit_code == 2
    assert "another run" in refused.stderr
    running.close()
    assert os.listdir(tmp_path / "out") == [".progress"]


LONG = 255  # bytes, the longest name of a file on Linux, macOS and Windows


def named(folder: Path, size: int, first: str = "n") -> Path:
    """A recording whose name has `size` bytes."""
    return write_wav(folder / f"{first:n<{size - len('.wav')}}.wav", syllables(1))


@pytest.fixture
def long_names(tmp_path) -> Path:
    """Six recordings: the results of three have names that still fit, those of two do not."""
    folder = tmp_path / "long"
    folder.mkdir()
    for size in (228, LONG - len(".json") - 1, LONG - len(".json"), LONG - len(".json") + 1, LONG):
        named(folder, size)
    write_wav(folder / "z.wav", syllables(1))
    return folder


@pytest.mark.parametrize("resume", [[], ["--resume"]])
@pytest.mark.parametrize("format_", ["json", "textgrid"])
def test_only_a_recording_whose_result_has_too_long_a_name_fails(
    long_names, model, tmp_path, format_, resume
):
    out, ending = tmp_path / "out", {"json": "json", "textgrid": "TextGrid"}[format_]
    for _ in range(2):  # also when the run is repeated
        result = run(long_names, "--out", out, "--model", model, "--format", format_, *resume)
        fits = [path for path in long_names.iterdir() if len(path.name) + 1 + len(ending) <= LONG]
        assert {path.name for path in out.glob("[!.]*")} == {f"{path.name}.{ending}" for path in fits}
        failed = [line for line in result.stderr.splitlines() if ": not_written: " in line]
        assert len(failed) == 6 - len(fits)
        assert all("File name too long" in line and "shorten the recording's name" in line for line in failed)
        assert f"{long_names / ('n' * 251)}.wav: not_written: " in result.stderr
        assert result.exit_code == 1


def test_a_run_that_was_killed_at_a_long_name_goes_on(long_names, model, tmp_path):
    out = tmp_path / "out"
    killed("os.rename", ".json", 2, long_names, "--out", out, "--model", model)
    (partial,) = out.glob(".*.partial")
    assert len(partial.name) < 228
    assert run(long_names, "--out", out, "--model", model, "--resume").exit_code == 1
    assert len(list(out.glob("[!.]*"))) == 4
    assert not list(out.glob(".*.partial"))


def test_one_file_of_all_results_may_have_the_longest_name(few, model, tmp_path):
    out = tmp_path / f"{'o' * (LONG - len('.json'))}.json"
    for resume in ([], ["--resume"], ["--resume"]):
        assert run(few, "--out", out, "--model", model, *resume).exit_code == 1  # one is broken
        assert len(json.loads(out.read_text())) == 3


def test_one_file_of_all_results_with_too_long_a_name_is_wrong_usage(few, model, tmp_path):
    refused = run(few, "--out", tmp_path / f"{'o' * LONG}.json", "--model", model)
    assert refused.exit_code == 2
    assert "cannot be written: File name too long" in refused.stderr


def test_a_folder_in_a_results_place_fails_that_recording_until_it_is_gone(few, model, tmp_path):
    out = tmp_path / "out"
    (out / "a.wav.json").mkdir(parents=True)
    arguments = (few, "--out", out, "--model", model, "--resume")
    first = run(*arguments)
    assert first.exit_code == 1
    assert f"{few / 'a.wav'}: not_written: " in first.stderr
    assert "Is a directory" in first.stderr
    assert (out / "c.wav.json").is_file()
    (out / "a.wav.json").rmdir()
    run(*arguments)
    assert (out / "a.wav.json").is_file()


def test_a_result_that_turns_out_not_to_be_writable_fails_that_recording(few, model, tmp_path, monkeypatch):
    write = files.write

    def refuse_a(path: Path, text: str) -> None:
        if path.name == "a.wav.json":
            raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ))
        write(path, text)

    monkeypatch.setattr(files, "write", refuse_a)
    arguments = (few, "--out", tmp_path / "out", "--model", model, "--resume")
    result = run(*arguments)
    assert result.exit_code == 1
    assert f"{few / 'a.wav'}: not_written: " in result.stderr
    assert (tmp_path / "out" / "c.wav.json").is_file()
    monkeypatch.undo()
    run(*arguments)
    assert (tmp_path / "out" / "a.wav.json").is_file()


def test_a_full_disk_ends_the_run(few, model, tmp_path, monkeypatch):
    def refuse(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write", refuse)
    result = run(few, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 2
    assert "c.wav" not in result.stderr
