"""Processes that benchmarks start, and what they and those they started hold (Linux)."""

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLED_S = 0.5
STOP_S = 120.0  # the longest wait for a process's end


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str], ready: str, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A process that has said `ready`, and is told to end with this block."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    try:
        if not any(ready in line for line in process.stdout):
            raise RuntimeError(f"{' '.join(command)} ended before it was ready")
        threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop it
        yield process
    finally:
        process.terminate()
        process.wait(STOP_S)


def tree(pid: int) -> Iterator[int]:
    """A process and its children, and theirs."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            for child in task.read_text().split():
                yield from tree(int(child))


def tree_mb(pid: int) -> float:
    """What they hold in memory now."""
    held = 0.0
    for one in tree(pid):
        with suppress(OSError, IndexError):
            held += _status_mb(one, "VmRSS")
    return held


def peak_mb_of(action: Callable[[], object]) -> float:
    """What `action` adds at most to what this process holds now."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is what is held now
    before = _status_mb(os.getpid(), "VmRSS")
    action()
    return _status_mb(os.getpid(), "VmHWM") - before


def descriptors(pid: int) -> int:
    """How many files, sockets and pipes they have open."""
    count = 0
    for one in tree(pid):
        with suppress(OSError):
            count += len(list(Path(f"/proc/{one}/fd").iterdir()))
    return count


@asynccontextmanager
async def peak_mb(pid: int) -> AsyncIterator[list[float]]:
    """A list of what they hold, which grows as long as the context lasts."""
    held = [tree_mb(pid)]

    async def watch() -> None:
        while True:
            await asyncio.sleep(SAMPLED_S)
            held.append(tree_mb(pid))

    task = asyncio.create_task(watch())
    try:
        yield held
    finally:
        task.cancel()


def _status_mb(pid: int, field: str) -> float:
    """A field of /proc/PID/status."""
    return int(Path(f"/proc/{pid}/status").read_text().split(f"{field}:")[1].split()[0]) / 1000
