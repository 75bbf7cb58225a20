"""Uploads are kept as long as they are needed, and no longer; nothing here trusts the date."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from ser_ui.server import storage
from ser_ui.server.storage import HELD_S, KEPT_S, LEFT_S, SWEEP_S, Storage, private_folder


class Clock:
    """Stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path, clock) -> Storage:
    return Storage(tmp_path, clock)


def upload(kept: Storage) -> Path:
    path = kept.new() / "hash" / "a.wav"
    path.parent.mkdir()
    path.write_bytes(b"sound")
    return path


def after(kept: Storage, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    kept.sweep()


def test_ten_minutes_after_its_last_use_nothing_of_an_upload_is_left(kept, clock):
    path = upload(kept)
    after(kept, clock, 300)
    kept.use(path)
    after(kept, clock, KEPT_S - 1)
    assert path.is_file()
    after(kept, clock, 1 + SWEEP_S)  # the worst case: the sweep came just before
    assert KEPT_S + SWEEP_S == 600
    assert not list(kept.folder.iterdir())


def test_an_open_page_keeps_what_it_uses_and_loses_it_when_it_is_closed(kept, clock):
    path, other = upload(kept), upload(kept)
    with kept.open_page("mine"):
        kept.use(path, "mine")
        after(kept, clock, KEPT_S + 1)
        assert path.is_file()
        assert not other.exists()  # of somebody without a page
    after(kept, clock, LEFT_S)
    assert not list(kept.folder.iterdir())


def test_a_page_that_reconnects_keeps_what_it_used(kept, clock):
    path = upload(kept)
    with kept.open_page("mine"):
        kept.use(path, "mine")
    after(kept, clock, LEFT_S - 1)
    with kept.open_page("mine"):
        after(kept, clock, KEPT_S)
        assert path.is_file()
        after(kept, clock, HELD_S)  # a tab that somebody forgot
        assert not path.exists()


def test_a_connection_that_breaks_beside_another_of_the_same_page_ends_nothing(kept, clock):
    path = upload(kept)
    with kept.open_page("mine"):
        with kept.open_page("mine"):
            kept.use(path, "mine")
        after(kept, clock, KEPT_S)
        assert path.is_file()


def test_a_page_that_only_says_it_is_one_keeps_nothing(kept, clock):
    path = upload(kept)
    kept.use(path, "invented")
    after(kept, clock, KEPT_S)
    assert not path.exists()


@pytest.mark.parametrize("date", [0, 4_000_000_000], ids=["1970", "2096"])
def test_a_clock_that_is_set_deletes_nothing_early_and_keeps_nothing_late(kept, clock, date):
    """The guard: due times count on the monotonic clock. Gradio's own clean-up goes by the files' dates."""
    path = upload(kept)
    for place in (path, path.parent, path.parents[1]):
        os.utime(place, (date, date))
    after(kept, clock, KEPT_S - 1)
    assert path.is_file()
    after(kept, clock, 1)
    assert not path.exists()


def test_what_gradio_leaves_beside_the_uploads_goes_as_well(kept, clock):
    """The guard: the folder is swept, not a list of uploads. Gradio leaves an empty file for each gr.File."""
    (kept.folder / "tmpabc").touch()
    (kept.folder / "link").symlink_to("/etc/passwd")
    after(kept, clock, 0)
    assert len(list(kept.folder.iterdir())) == 2
    after(kept, clock, KEPT_S)
    assert not list(kept.folder.iterdir())
    assert Path("/etc/passwd").is_file()


def test_nothing_outside_the_folder_is_ever_due(kept, clock, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.wav"
    outside.touch()
    for path in (outside, kept.folder, kept.folder / ".." / outside.parent.name / outside.name):
        kept.use(path)
    after(kept, clock, 10 * HELD_S)
    assert outside.is_file()
    assert kept.folder.is_dir()


def test_sessions_and_uploads_that_ended_are_forgotten(kept, clock):
    for number in range(100):
        with kept.open_page(str(number)):
            kept.use(upload(kept), str(number))
    after(kept, clock, LEFT_S)
    assert not kept._due
    assert not kept._uses
    assert not kept._open


def test_the_disk_is_never_filled(kept):
    assert kept.has_room(0)
    assert not kept.has_room(2**60)


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
        left, held = (Path(process.stdout.readline().strip()) for process in (killed, alive))
        killed.kill()
        killed.wait()
        assert (left / "a.wav").is_file()
        with private_folder(str(tmp_path)):
            assert not left.exists()
            assert (held / "a.wav").is_file()  # another server's, which runs
        alive.communicate("\n")
    assert not list(tmp_path.iterdir())


def test_the_names_of_uploads_cannot_be_guessed(kept):
    assert len({kept.new().name for _ in range(100)}) == 100
    assert len(kept.new().name) * 6 >= 128  # bits
    assert storage.PREFIX not in kept.new().name
