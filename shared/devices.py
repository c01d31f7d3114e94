"""Names of devices, as `--device` takes them, and which of them each process of a job is given."""

import re

from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError, PipelineError


def choose_device(name: str, *, error: type[PipelineError] = ConfigError) -> str:
    """`cpu`, `cuda` or `cuda:N`, which exists here; for `auto`, a GPU where there is one.

    Raises:
        error: there is no such device.
    """
    name = str(name)  # torch has devices that print so
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise error(f"device: wanted auto, cpu, cuda or cuda:N, found {name!r}")
    if name == "cpu":
        return name
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if found else "cpu"
    if int(name.partition(":")[2] or 0) >= found:
        raise error(
            f"device {name}: this machine has {found} CUDA devices that torch can use, numbered "
            "from 0; take auto or cpu"
        )
    return name


def devices_of_workers(
    name: str, workers: int | None, *, error: type[PipelineError] = ConfigError
) -> tuple[str, ...]:
    """The device of each process of this machine: one process a GPU, or one a core on the CPU.

    Args:
        name: `cpu`, `cuda` (all GPUs), `cuda:1` (that one), `auto` (all GPUs, else the CPU).
        workers: number of processes; None: as many as suit.
        error: what to raise if there is no such device.

    Raises:
        error: there is no such device.
    """
    device = choose_device(name, error=error)
    if device == "cuda":
        import torch

        return spread_over_gpus(workers, num_gpus=torch.cuda.device_count())
    return (device,) * (workers or (usable_cores() if device == "cpu" else 1))


def spread_over_gpus(workers: int | None, *, num_gpus: int) -> tuple[str, ...]:
    """`cuda:0`, `cuda:1`, ... in turns, for each of `workers` processes; one a GPU for None."""
    return tuple(f"cuda:{index % num_gpus}" for index in range(workers or num_gpus))
