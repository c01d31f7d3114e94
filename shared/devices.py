"""Names of devices for `--device`, and the devices of worker processes."""

import re

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


def instruction_set() -> str:
    """Return the CPU instruction set that PyTorch's kernels use, such as AVX2 or AVX512. Results
    depend on it."""
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


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
