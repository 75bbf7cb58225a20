"""Processes that benchmarks start, and the memory and descriptors of process trees (Linux)."""

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE_INTERVAL_S = 0.5
STOP_TIMEOUT_S = 120.0  # the longest wait for a process to end


def free_port() -> int:
    """A port of 127.0.0.1 that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_process(
    command: Sequence[str], ready: str, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Starts `command`, waits until it has printed `ready`, and terminates it when the block ends.

    Raises RuntimeError if it ends before.
    """
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    try:
        if not any(ready in line for line in process.stdout):
            raise RuntimeError(f"{' '.join(command)} ended before it was ready")
        # A full pipe would block the process.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def tree(pid: int) -> Iterator[int]:
    """The ids of a process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            for child in task.read_text().split():
                yield from tree(int(child))


def tree_mb(pid: int) -> float:
    """Resident memory of a process and its descendants in MB."""
    total = 0.0
    for process in tree(pid):
        with suppress(OSError, IndexError):
            total += _status_mb(process, "VmRSS")
    return total


def peak_mb_of(action: Callable[[], object]) -> float:
    """Peak resident memory of this process while `action` runs, above its memory before, in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _status_mb(os.getpid(), "VmRSS")
    action()
    return _status_mb(os.getpid(), "VmHWM") - before


def descriptors(pid: int) -> int:
    """The number of open files, sockets and pipes of a process and its descendants."""
    count = 0
    for process in tree(pid):
        with suppress(OSError):
            count += len(list(Path(f"/proc/{process}/fd").iterdir()))
    return count


@asynccontextmanager
async def peak_mb(pid: int) -> AsyncIterator[list[float]]:
    """Samples `tree_mb` regularly while the block runs, into the list that it yields."""
    samples = [tree_mb(pid)]

    async def watch() -> None:
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            samples.append(tree_mb(pid))

    task = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        task.cancel()


def _status_mb(pid: int, field: str) -> float:
    """A field of /proc/PID/status in MB."""
    return int(Path(f"/proc/{pid}/status").read_text().split(f"{field}:")[1].split()[0]) / 1000
