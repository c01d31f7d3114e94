"""Names of devices for `--device`, their precision, and the devices of worker processes."""

import os
import re
from typing import TYPE_CHECKING, Literal

from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> str:
    """Return `cpu`, `cuda` or `cuda:N`; `auto` selects a GPU if one is available.

    Raises:
        ConfigError: if the device does not exist.
    """
    name = str(name)  # torch prints some devices without an index
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ConfigError(
            f"device: expected auto, cpu, cuda or cuda:N, got {name!r}; pass one of them"
        )
    if name == "cpu":
        return name
    import torch

    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if num_gpus else "cpu"
    if not num_gpus:
        raise ConfigError(
            f"device {name}: expected a CUDA device, got none that torch can use; choose auto or "
            "cpu"
        )
    if int(name.partition(":")[2] or 0) >= num_gpus:
        raise ConfigError(
            f"device {name}: expected an index below {num_gpus}, the number of CUDA devices that "
            "torch can use; choose a different one, auto or cpu"
        )
    return name


def use_device(name: str, threads: int | None) -> "torch.device":
    """Return a device for exact results in this process: without TensorFloat-32.

    Args:
        name: as for `choose_device`.
        threads: number of CPU threads, which affects rounding; None keeps the current number.
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.device(choose_device(name))


def instruction_set() -> str:
    """Return the CPU instruction set that PyTorch's kernels use, such as AVX2 or AVX512. Results
    depend on it."""
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


def _computes_bf16_fast(device: str) -> bool:
    """Return whether a device has instructions for bfloat16 that PyTorch may use: a GPU of compute
    capability 8 or more, or a CPU with AVX512_BF16 or AMX that `ATEN_CPU_CAPABILITY` and
    `ONEDNN_MAX_CPU_ISA` do not rule out."""
    import torch

    if device != "cpu":
        return torch.cuda.get_device_capability(device)[0] >= 8
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return (
        (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
        and instruction_set().startswith("AVX512")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # of oneDNN, with AVX-512 of any kind
        and limit not in ("AVX512_CORE", "AVX512_CORE_VNNI")
    )


def choose_precision(name: str, device: str) -> Literal["fp32", "bf16"]:
    """Return the precision of a network on a device; `auto` selects bf16 if it is fast there.

    Args:
        name: `auto`, `fp32` or `bf16`.
        device: as returned by `choose_device`.
    """
    is_bf16 = _computes_bf16_fast(device) if name == "auto" else name == "bf16"
    return "bf16" if is_bf16 else "fp32"


def is_slow(precision: str, device: str) -> bool:
    """Return whether a device has no instructions for a precision, which it computes all the same,
    many times slower."""
    return precision == "bf16" and not _computes_bf16_fast(device)


def usual_batch_size(device_type: str | None) -> int:
    """Return the number of frames per forward pass of a detector: 1 on a CPU, where results then
    equal those of MMDetection's `inference_detector`, and 8 on a GPU or if a cluster chooses the
    device (None)."""
    return 1 if device_type == "cpu" else 8


def devices_of_workers(name: str, workers: int | None) -> tuple[str, ...]:
    """Return the device of each worker process on this machine.

    Args:
        name: `cpu`, `cuda` (all GPUs), `cuda:1` (that GPU), `auto` (all GPUs, else the CPU).
        workers: number of processes; None: one per GPU, or one per CPU core.

    Raises:
        ConfigError: if the device does not exist.
    """
    device = choose_device(name)
    if device == "cuda":
        import torch

        num_gpus = torch.cuda.device_count()
        return tuple(f"cuda:{index % num_gpus}" for index in range(workers or num_gpus))
    return (device,) * (workers or (usable_cores() if device == "cpu" else 1))
