"""How much of the time a GPU is busy, as nvidia-smi samples it."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["GpuBusy", "gpu_id", "watching_gpu"]

_SAMPLE_MILLISECONDS = 100


class GpuBusy:
    """The share of time in which a kernel ran, once the watching has ended."""

    share: float | None = None
    """0..1; None where there is no nvidia-smi, or the time was too short for a sample."""


def gpu_id(device: str) -> str:
    """The name by which nvidia-smi knows a GPU of torch, which counts only those that it may use.

    Args:
        device: `cuda` or `cuda:N`.
    """
    import torch

    return f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"


@contextmanager
def watching_gpu(device: str) -> Iterator[GpuBusy]:
    """Samples the GPU of this name while the block runs; does nothing for a CPU."""
    busy = GpuBusy()
    program = shutil.which("nvidia-smi")
    if not device.startswith("cuda") or program is None:
        yield busy
        return
    command = [
        program,
        f"--id={gpu_id(device)}",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        f"--loop-ms={_SAMPLE_MILLISECONDS}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield busy
    finally:
        process.terminate()
        output, _ = process.communicate()
        samples = [int(line) for line in output.split() if line.isdecimal()]
        busy.share = statistics.mean(samples) / 100 if samples else None
