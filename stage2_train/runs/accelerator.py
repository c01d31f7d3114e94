"""Device and precision of this process."""

import os
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from orn.shared.devices import choose_device, choose_precision
from orn.stage2_train.clips.batches import LoaderSettings


def build_accelerator(
    precision: Literal["auto", "fp32", "bf16"], device: str = "auto"
) -> Accelerator:
    """Build an accelerator; under torchrun or `accelerate launch`, it joins the other processes.

    Args:
        precision: `bf16` computes matrix products and convolutions in bfloat16; `auto` does so if
            that is fast on the device.
        device: `auto` (a GPU if available), `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: if the device does not exist.
    """
    target = choose_device(device)
    on_cpu = target == "cpu"  # accelerate joins CPU processes only with cpu=True
    if not torch.distributed.is_initialized():
        # Accelerate has one state per process; a second job may need a different one.
        AcceleratorState._reset_state(reset_partial_state=True)
    mixed = "bf16" if choose_precision(precision, target) == "bf16" else "no"
    if ":" in device:
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    try:
        return Accelerator(mixed_precision=mixed, cpu=on_cpu)
    finally:
        if ":" in device:
            del os.environ["ACCELERATE_TORCH_DEVICE"]


def loader_settings(accelerator: Accelerator, *, batch_size: int, workers: int) -> LoaderSettings:
    """Return the loader settings for this process, one of the accelerator's processes."""
    return LoaderSettings(
        batch_size=batch_size,
        workers=workers,
        pin_memory=accelerator.device.type == "cuda",
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
