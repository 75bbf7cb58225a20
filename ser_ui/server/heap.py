"""Memory that is free and still held: glibc keeps it, and a server that runs for weeks grows.

On other systems these functions do nothing.
"""

import ctypes
from contextlib import suppress

M_ARENA_MAX, ARENAS = -8, 2  # a parameter of mallopt(3), and how many heaps threads share
NOT_GLIBC = (AttributeError, OSError, TypeError)


def share() -> None:
    """Lets threads share few heaps; to be called before there are any.

    Each would have its own, up to 16 on two cores. As threads come and go, one heap after the other grows by
    the 25 MB of some analyses (`benchmarks.soak`).
    """
    with suppress(*NOT_GLIBC):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Returns to the system what lies free between what is used: analyses leave holes of all sizes."""
    with suppress(*NOT_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)
