"""Where uploads lie, and for how long.

Each upload has a folder of its own whose name nobody can guess: not even who holds the same file finds
another's. All of them lie in a folder of this process alone. Time is counted on the monotonic clock and not
by the files' dates: setting the computer's clock deletes nothing early and keeps nothing late.
"""

import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

SWEEP_S = 30  # every so often what is due is deleted
KEPT_S = 600 - SWEEP_S  # after its last use: ten minutes with the sweep
HELD_S = 3600 - SWEEP_S  # the same, while the page that uses it is open
LEFT_S = 30  # after that page was closed; a connection that breaks comes back sooner
MIN_FREE_BYTES = 512 * 1024**2  # of the disk that uploads leave
PREFIX = "ser-studio-"


class Storage:
    """The uploads in `folder`, which is nobody else's. Safe to use from several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._clock, self._lock = clock, Lock()
        self._due: dict[str, float] = {}  # when each entry of the folder is to be deleted
        self._open: Counter[str] = Counter()  # connections of each page that is open
        self._uses: dict[str, set[str]] = {}  # the entries that each of these pages used

    def new(self) -> Path:
        """A fresh folder for one upload."""
        folder = self.folder / secrets.token_urlsafe(16)
        folder.mkdir(parents=True, mode=0o700)
        self.use(folder)
        return folder

    def use(self, path: Path, page: str | None = None) -> None:
        """Says that `path` is wanted now, by `page` (Gradio's session hash) where one is known."""
        with self._lock:
            if not path.is_relative_to(self.folder) or path == self.folder:
                return
            name = path.relative_to(self.folder).parts[0]
            held = page is not None and page in self._open
            if page is not None and held:
                self._uses.setdefault(page, set()).add(name)
            due = self._clock() + (HELD_S if held else KEPT_S)
            self._due[name] = max(due, self._due.get(name, due))

    @contextmanager
    def open_page(self, page: str) -> Iterator[None]:
        """While a page is open: what it uses is kept longer, and goes soon after it is closed."""
        with self._lock:
            self._open[page] += 1
            self._due |= dict.fromkeys(self._uses.get(page, ()), self._clock() + HELD_S)
        try:
            yield
        finally:
            with self._lock:
                self._open -= Counter([page])
                if page not in self._open:
                    self._due |= dict.fromkeys(self._uses.get(page, ()), self._clock() + LEFT_S)

    def sweep(self) -> None:
        """Deletes what is due: uploads, and whatever Gradio or an interrupted upload left beside them."""
        if not self.folder.is_dir():
            return
        there = {path.name: path for path in self.folder.iterdir()}
        with self._lock:
            now = self._clock()
            for name in there:
                self._due.setdefault(name, now + KEPT_S)
            due = [path for name, path in there.items() if self._due[name] <= now]
            gone = {path.name for path in due} | (self._due.keys() - there.keys())
            self._due = {name: at for name, at in self._due.items() if name not in gone}
            left = {page: names - gone for page, names in self._uses.items()}
            self._uses = {page: names for page, names in left.items() if names or page in self._open}
        for path in due:
            discard(path)

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes leave the disk what it needs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free - size >= MIN_FREE_BYTES


def discard(path: Path) -> None:
    """Deletes a file or a folder, also one that is gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def private_folder(parent: str | None) -> Iterator[Path]:
    """A folder in `parent` (the system's for temporary files where empty) that is deleted at the end.

    One that a process left behind when it was killed goes when the next one begins: its lock is free.
    """
    place = Path(parent or tempfile.gettempdir()).resolve()
    place.mkdir(parents=True, exist_ok=True)
    for leftover in place.glob(f"{PREFIX}*.lock"):
        _discard_unless_locked(leftover)
    folder = place / (PREFIX + secrets.token_hex(8))
    lock = folder.with_suffix(".lock")
    with FileLock(lock):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            discard(folder)
    discard(lock)


def _discard_unless_locked(lock: Path) -> None:
    try:
        with FileLock(lock, timeout=0):
            discard(lock.with_suffix(""))
    except (Timeout, OSError):  # in use, or another user's
        return
    discard(lock)
