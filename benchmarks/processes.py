"""What a process and those it started hold (Linux)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

SAMPLED_S = 0.5


def tree(pid: int) -> Iterator[int]:
    """A process and its children, and theirs."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            for child in task.read_text().split():
                yield from tree(int(child))


def tree_mb(pid: int) -> float:
    """What they hold in memory now."""
    held = 0
    for one in tree(pid):
        with suppress(OSError, IndexError):
            held += int(Path(f"/proc/{one}/status").read_text().split("VmRSS:")[1].split()[0])
    return held / 1000


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
