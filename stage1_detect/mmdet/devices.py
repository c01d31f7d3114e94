"""Which devices there are, and which of them each process of a job computes on."""

from __future__ import annotations

import re

import torch

from shared.environment import usable_cores
from shared.errors import DetectorError

__all__ = ["choose_device", "devices_of_workers", "spread_over_gpus"]


def choose_device(name: str) -> torch.device:
    """The device of this name; `auto` is the first GPU, else the CPU.

    Raises:
        DetectorError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise DetectorError(f"device {name!r}: wanted auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DetectorError(f"device {name!r}: torch finds no CUDA GPU here; leave --device out")
    if device.index is not None and device.index >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise DetectorError(f"device {name!r}: torch finds {found} CUDA GPUs here, numbered from 0")
    return device


def devices_of_workers(name: str, workers: int | None) -> tuple[str, ...]:
    """The device of each process of this machine: one process a GPU, or one a core on the CPU.

    Args:
        name: `cpu`, `cuda` (all GPUs), `cuda:1` (that one), `auto` (all GPUs, else the CPU).
        workers: number of processes; None: as many as suit.

    Raises:
        DetectorError: there is no such device.
    """
    device = choose_device(name)
    if device.type == "cuda" and device.index is None:
        return spread_over_gpus(workers, num_gpus=torch.cuda.device_count())
    usual = 1 if device.type == "cuda" else usable_cores()
    return (str(device),) * (workers or usual)


def spread_over_gpus(workers: int | None, *, num_gpus: int) -> tuple[str, ...]:
    """`cuda:0`, `cuda:1`, ... in turns, for each of `workers` processes; one a GPU for None."""
    return tuple(f"cuda:{index % num_gpus}" for index in range(workers or num_gpus))
