"""The number format that the convolutions of backbone, pyramid and proposal head compute in.

Boxes, suppression and the heads that look at single objects stay in float32 whatever it is: half
precision cannot tell pixels apart beyond 2048.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias, get_args

import torch

from shared.errors import DetectorError

__all__ = ["PRECISIONS", "Precision", "autocast", "check_precision", "use_full_float32"]

Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]

PRECISIONS: tuple[str, ...] = get_args(Precision)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Checks that a device can compute in this format.

    Raises:
        DetectorError: it cannot.
    """
    if precision not in PRECISIONS:
        raise DetectorError(f"precision {precision!r}: wanted one of {', '.join(PRECISIONS)}")
    if precision == "float16" and device.type != "cuda":
        raise DetectorError(
            f"precision float16 needs a CUDA GPU, found the device {str(device)!r}; "
            "take bfloat16 or float32"
        )


def use_full_float32() -> None:
    """Makes this process compute float32 on GPUs with all of its bits. cuDNN's convolutions would
    otherwise round to TF32, which has 10 bits of mantissa, on cards that know it."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Runs a block's convolutions in this format; float32 changes nothing."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))
