"""Rank, gathering and broadcasting for distributed training; a single process has rank 0 of 1."""

from collections.abc import Iterable
from typing import TypeVar

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

T = TypeVar("T")


def is_first() -> bool:
    """Whether this process writes files and output (rank 0); known before training starts."""
    return getattr(rank_zero_only, "rank", 0) == 0


def rank_and_count() -> tuple[int, int]:
    """Rank and number of processes; (0, 1) until the process group is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(value: T) -> list[T]:
    """The `value` of each process, in order of rank; every process must call it."""
    _, count = rank_and_count()
    if count == 1:
        return [value]
    values: list[T] = [value] * count
    dist.all_gather_object(values, value)
    return values


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Copies the values of `tensors` from rank 0 to every process, in place; every process must call it."""
    if rank_and_count()[1] > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
