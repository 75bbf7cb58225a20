"""Uploads are kept for as long as they are needed, and no longer, whatever the computer's date is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from ser_ui.server import storage
from ser_ui.server.storage import (
    CLOSED_RETENTION_S,
    OPEN_RETENTION_S,
    RETENTION_S,
    SWEEP_INTERVAL_S,
    Storage,
    private_folder,
)


class Clock:
    """A clock that only moves when a test sets `now`."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path, clock) -> Storage:
    return Storage(tmp_path, clock)


def upload(uploads: Storage) -> Path:
    path = uploads.new() / "hash" / "a.wav"
    path.parent.mkdir()
    path.write_bytes(b"sound")
    return path


def sweep_after(uploads: Storage, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    uploads.sweep()


def test_ten_minutes_after_its_last_use_nothing_of_an_upload_is_left(uploads, clock):
    path = upload(uploads)
    sweep_after(uploads, clock, 300)
    uploads.use(path)
    sweep_after(uploads, clock, RETENTION_S - 1)
    assert path.is_file()
    sweep_after(uploads, clock, 1 + SWEEP_INTERVAL_S)  # the worst case: the sweep came just before
    assert RETENTION_S + SWEEP_INTERVAL_S == 600
    assert not list(uploads.folder.iterdir())


def test_an_open_page_keeps_what_it_uses_and_loses_it_when_it_is_closed(uploads, clock):
    path, other = upload(uploads), upload(uploads)
    with uploads.open_page("mine"):
        uploads.use(path, "mine")
        sweep_after(uploads, clock, RETENTION_S + 1)
        assert path.is_file()
        assert not other.exists()  # no open page uses it
    sweep_after(uploads, clock, CLOSED_RETENTION_S)
    assert not list(uploads.folder.iterdir())


def test_a_page_that_reconnects_keeps_what_it_used(uploads, clock):
    path = upload(uploads)
    with uploads.open_page("mine"):
        uploads.use(path, "mine")
    sweep_after(uploads, clock, CLOSED_RETENTION_S - 1)
    with uploads.open_page("mine"):
        sweep_after(uploads, clock, RETENTION_S)
        assert path.is_file()
        sweep_after(uploads, clock, OPEN_RETENTION_S)  # a tab that somebody forgot
        assert not path.exists()


def test_a_connection_that_breaks_beside_another_of_the_same_page_ends_nothing(uploads, clock):
    path = upload(uploads)
    with uploads.open_page("mine"):
        with uploads.open_page("mine"):
            uploads.use(path, "mine")
        sweep_after(uploads, clock, RETENTION_S)
        assert path.is_file()


def test_a_page_that_only_says_it_is_one_keeps_nothing(uploads, clock):
    path = upload(uploads)
    uploads.use(path, "invented")
    sweep_after(uploads, clock, RETENTION_S)
    assert not path.exists()


@pytest.mark.parametrize("date", [0, 4_000_000_000], ids=["1970", "2096"])
def test_a_clock_that_is_set_deletes_nothing_early_and_keeps_nothing_late(uploads, clock, date):
    """The guard: due times count on the monotonic clock. Gradio's own clean-up goes by the files' dates."""
    path = upload(uploads)
    for place in (path, path.parent, path.parents[1]):
        os.utime(place, (date, date))
    sweep_after(uploads, clock, RETENTION_S - 1)
    assert path.is_file()
    sweep_after(uploads, clock, 1)
    assert not path.exists()


def test_what_gradio_leaves_beside_the_uploads_goes_as_well(uploads, clock):
    """The guard: the folder is swept, not a list of uploads. Gradio leaves an empty file for each gr.File."""
    (uploads.folder / "tmpabc").touch()
    (uploads.folder / "link").symlink_to("/etc/passwd")
    sweep_after(uploads, clock, 0)
    assert len(list(uploads.folder.iterdir())) == 2
    sweep_after(uploads, clock, RETENTION_S)
    assert not list(uploads.folder.iterdir())
    assert Path("/etc/passwd").is_file()


def test_nothing_outside_the_folder_is_ever_due(uploads, clock, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.wav"
    outside.touch()
    for path in (outside, uploads.folder, uploads.folder / ".." / outside.parent.name / outside.name):
        uploads.use(path)
    sweep_after(uploads, clock, 10 * OPEN_RETENTION_S)
    assert outside.is_file()
    assert uploads.folder.is_dir()


def test_sessions_and_uploads_that_ended_are_forgotten(uploads, clock):
    for number in range(100):
        with uploads.open_page(str(number)):
            uploads.use(upload(uploads), str(number))
    sweep_after(uploads, clock, CLOSED_RETENTION_S)
    assert not uploads._due
    assert not uploads._uses
    assert not uploads._open


def test_the_disk_is_never_filled(uploads):
    assert uploads.has_room(0)
    assert not uploads.has_room(2**60)


def test_a_folder_of_its_own_that_nobody_else_can_read_and_that_goes_with_the_server(tmp_path):
    with private_folder(str(tmp_path)) as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "a.wav").touch()
        with private_folder(str(tmp_path)) as second:
            assert second != folder
        assert (folder / "a.wav").is_file()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a way to kill")
def test_what_a_killed_server_left_goes_when_the_next_one_starts(tmp_path):
    program = (
        "from ser_ui.server.storage import private_folder\n"
        f"with private_folder({str(tmp_path)!r}) as folder:\n"
        " (folder / 'a.wav').touch()\n print(folder, flush=True)\n input()"
    )
    command = [sys.executable, "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as killed, subprocess.Popen(command, **pipes) as alive:
        stale, used = (Path(process.stdout.readline().strip()) for process in (killed, alive))
        killed.kill()
        killed.wait()
        assert (stale / "a.wav").is_file()
        with private_folder(str(tmp_path)):
            assert not stale.exists()
            assert (used / "a.wav").is_file()  # of a server that is running
        alive.communicate("\n")
    assert not list(tmp_path.iterdir())


def test_the_names_of_uploads_cannot_be_guessed(uploads):
    assert len({uploads.new().name for _ in range(100)}) == 100
    assert len(uploads.new().name) * 6 >= 128  # bits
    assert storage.PREFIX not in uploads.new().name
