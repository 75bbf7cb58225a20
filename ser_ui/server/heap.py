"""Keeps the server's memory small under glibc, which does not return freed memory by itself.

Without this, a server that runs for weeks grows. On other systems these functions do nothing.
"""

import ctypes
from contextlib import suppress

M_ARENA_MAX, ARENAS = -8, 2  # a parameter of mallopt(3), and how many heaps threads share
NOT_GLIBC = (AttributeError, OSError, TypeError)


def share() -> None:
    """Limits the number of heaps that threads share. Must be called before any thread starts.

    By default there are up to 16 heaps on two cores. As threads start and end, each heap grows by the 25 MB
    of some analyses (`benchmarks.soak`).
    """
    with suppress(*NOT_GLIBC):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Returns freed memory to the system, also from between blocks that are in use."""
    with suppress(*NOT_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)
