"""Which of the processes that train together this one is; one process is the first of one."""

from collections.abc import Iterable
from typing import TypeVar

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

T = TypeVar("T")


def is_first() -> bool:
    """Whether this process writes and reports; the launcher says so before training starts."""
    return getattr(rank_zero_only, "rank", 0) == 0


def place() -> tuple[int, int]:
    """Rank and number of processes; (0, 1) until training has joined them."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(own: T) -> list[T]:
    """What each process gave, in the order of ranks; all must call it."""
    _, count = place()
    if count == 1:
        return [own]
    found: list[T] = [own] * count
    dist.all_gather_object(found, own)
    return found


def agree(tensors: Iterable[Tensor]) -> None:
    """Gives `tensors` of every process the values of the first one's; all must call it."""
    if place()[1] > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
