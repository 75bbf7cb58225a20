"""Storage of uploads, and when they are deleted.

Each upload has a folder of its own with a random name, so that a visitor cannot find the same file uploaded
by another. All folders lie in one that belongs to this process. Time is taken from the monotonic clock, not
from file dates, so that a change of the computer's clock neither deletes early nor keeps late.
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

SWEEP_INTERVAL_S = 30
RETENTION_S = 600 - SWEEP_INTERVAL_S  # after the last use: ten minutes with the sweep
OPEN_RETENTION_S = 3600 - SWEEP_INTERVAL_S  # the same, while the page that uses it is open
CLOSED_RETENTION_S = 30  # after that page was closed; a broken connection is restored sooner
MIN_FREE_BYTES = 512 * 1024**2  # that uploads leave free on the disk
PREFIX = "ser-studio-"


class Storage:
    """The uploads in `folder`, which nothing else uses. Safe to use from several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._clock, self._lock = clock, Lock()
        self._due: dict[str, float] = {}  # when each entry of the folder expires
        self._open: Counter[str] = Counter()  # number of connections of each open page
        self._uses: dict[str, set[str]] = {}  # the entries that each page used

    def new(self) -> Path:
        """A new folder for one upload."""
        folder = self.folder / secrets.token_urlsafe(16)
        folder.mkdir(parents=True, mode=0o700)
        self.use(folder)
        return folder

    def use(self, path: Path, page: str | None = None) -> None:
        """Extends the retention of `path`, used by `page` (Gradio's session hash) where that is known."""
        with self._lock:
            if not path.is_relative_to(self.folder) or path == self.folder:
                return
            name = path.relative_to(self.folder).parts[0]
            is_open = page is not None and page in self._open
            if page is not None and is_open:
                self._uses.setdefault(page, set()).add(name)
            due = self._clock() + (OPEN_RETENTION_S if is_open else RETENTION_S)
            self._due[name] = max(due, self._due.get(name, due))

    @contextmanager
    def open_page(self, page: str) -> Iterator[None]:
        """Marks a page as open: its uploads are kept longer, and deleted soon after it closes."""
        with self._lock:
            self._open[page] += 1
            self._due |= dict.fromkeys(self._uses.get(page, ()), self._clock() + OPEN_RETENTION_S)
        try:
            yield
        finally:
            with self._lock:
                self._open -= Counter([page])
                if page not in self._open:
                    self._due |= dict.fromkeys(self._uses.get(page, ()), self._clock() + CLOSED_RETENTION_S)

    def sweep(self) -> None:
        """Deletes expired entries: uploads, and what Gradio or an interrupted upload left there."""
        if not self.folder.is_dir():
            return
        entries = {path.name: path for path in self.folder.iterdir()}
        with self._lock:
            now = self._clock()
            for name in entries:
                self._due.setdefault(name, now + RETENTION_S)
            expired = [path for name, path in entries.items() if self._due[name] <= now]
            deleted = {path.name for path in expired} | (self._due.keys() - entries.keys())
            self._due = {name: due for name, due in self._due.items() if name not in deleted}
            uses = {page: names - deleted for page, names in self._uses.items()}
            self._uses = {page: names for page, names in uses.items() if names or page in self._open}
        for path in expired:
            discard(path)

    def has_room(self, size: int) -> bool:
        """Whether the disk has MIN_FREE_BYTES left after `size` more bytes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free - size >= MIN_FREE_BYTES


def discard(path: Path) -> None:
    """Deletes a file or folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def private_folder(parent: str | None) -> Iterator[Path]:
    """A folder in `parent` (the system's temporary folder if empty) that is deleted when the block ends.

    Folders of processes that were killed are deleted here: their lock is free.
    """
    parent_path = Path(parent or tempfile.gettempdir()).resolve()
    parent_path.mkdir(parents=True, exist_ok=True)
    for stale_lock in parent_path.glob(f"{PREFIX}*.lock"):
        _discard_unless_locked(stale_lock)
    folder = parent_path / (PREFIX + secrets.token_hex(8))
    lock = folder.with_suffix(".lock")
    with FileLock(lock):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            discard(folder)
    discard(lock)


def _discard_unless_locked(lock: Path) -> None:
    """Deletes the folder of `lock`, unless another process holds the lock."""
    try:
        with FileLock(lock, timeout=0):
            discard(lock.with_suffix(""))
    except (Timeout, OSError):  # in use, or another user's
        return
    discard(lock)
