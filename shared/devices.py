"""Names of devices for `--device`, the devices of worker processes, and the seconds that work takes
(docs/planning.md lists the table)."""

import math
import re
from collections.abc import Mapping

from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError, PipelineError


def choose_device(name: str, *, error: type[PipelineError] = ConfigError) -> str:
    """Return `cpu`, `cuda` or `cuda:N`; `auto` selects a GPU if one is available.

    Raises:
        error: if the device does not exist.
    """
    name = str(name)  # torch prints some devices without an index
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise error(f"device: expected auto, cpu, cuda or cuda:N, got {name!r}; pass one of them")
    if name == "cpu":
        return name
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if found else "cpu"
    if not found:
        raise error(
            f"device {name}: expected a CUDA device, got none that torch can use; choose auto or "
            "cpu"
        )
    if int(name.partition(":")[2] or 0) >= found:
        raise error(
            f"device {name}: expected an index below {found}, the number of CUDA devices that "
            "torch can use; choose a different one, auto or cpu"
        )
    return name


def usual_batch_size(device_type: str | None) -> int:
    """Return the number of frames per forward pass of a detector: 1 on a CPU, where results then
    equal those of MMDetection's `inference_detector`, and 8 on a GPU or if a cluster chooses the
    device (None)."""
    return 1 if device_type == "cpu" else 8


def devices_of_workers(
    name: str, workers: int | None, *, error: type[PipelineError] = ConfigError
) -> tuple[str, ...]:
    """Return the device of each worker process on this machine.

    Args:
        name: `cpu`, `cuda` (all GPUs), `cuda:1` (that GPU), `auto` (all GPUs, else the CPU).
        workers: number of processes; None: one per GPU, or one per CPU core.
        error: type of the error.

    Raises:
        error: if the device does not exist.
    """
    device = choose_device(name, error=error)
    if device == "cuda":
        import torch

        num_gpus = torch.cuda.device_count()
        return tuple(f"cuda:{index % num_gpus}" for index in range(workers or num_gpus))
    return (device,) * (workers or (usable_cores() if device == "cpu" else 1))


SECONDS: Mapping[str, Mapping[str, float]] = {
    "cpu": {
        "detect": 3.5,  # a frame
        "detect rtmdet-ins_tiny_8xb32-300e_coco": 0.57,
        "detect mask_rcnn_demo": 0.016,
        "clips": 0.003,
        "train resnet18": 0.089,  # a frame of 224 x 224 pixels in a clip
        "train resnet50": 0.19,
        "eval resnet18": 0.026,
        "eval resnet50": 0.050,
    }
}
"""Seconds of one core per frame, by type of device and work. GPUs were not measured."""


def estimated_seconds(work: str, frames: float, *, device: str = "cpu") -> float | None:
    """Return the seconds for frames on this machine; None if the device was not measured.

    Args:
        work: a name in the table; variants without an entry count as the word before the space.
        frames: number of frames.
        device: `cpu`, `cuda`, `cuda:1`, ...
    """
    table = SECONDS.get(device.partition(":")[0], {})
    seconds = table.get(work, table.get(work.partition(" ")[0]))
    return None if seconds is None else round(frames * seconds / usable_cores(), 1)


def time_text(seconds: float | None) -> str:
    """Return a time such as `40 s`, `12 min`, `3.5 h` or `?`."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
