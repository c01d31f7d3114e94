"""The time and disk space of work before it starts; docs/speed.md lists the measurements."""

import math
from collections.abc import Mapping
from itertools import accumulate

from orn.shared.environment import usable_cores

SECONDS: Mapping[str, Mapping[str, float]] = {
    "cpu": {
        "detect": 3.5,  # a frame
        "detect rtmdet-ins_tiny_8xb32-300e_coco": 0.24,
        "detect mask_rcnn_demo": 0.016,
        "clips": 0.0018,  # a stored frame, without decoding
        "decode": 0.0055,  # a million pixels, of stored frames and of those between them
        "motion": 0.0026,  # a decoded frame, whether it is stored or not
        "maps timm/tf_efficientnet_lite0": 0.024,  # a stored frame of 224 x 224 pixels
        "train resnet18 bf16": 0.089,  # a frame of 224 x 224 pixels in a clip
        "train resnet50 bf16": 0.19,
        "eval resnet18 bf16": 0.026,
        "eval resnet50 bf16": 0.050,
        "train maps": 0.00045,  # a frame whose map is stored
        "eval maps": 0.002,
        "baseline": 0.0045,  # a clip of J-HMDB: forest and linear probe
        "train resnet18 fp32": 0.31,  # with AVX2
        "train resnet50 fp32": 0.57,
        "eval resnet18 fp32": 0.078,
        "eval resnet50 fp32": 0.15,
    }
}
"""Seconds of one core per frame, by type of device and work. GPUs were not measured."""
START_SECONDS = 4.0
"""Seconds until a command that imports torch has started, and does nothing."""
IMPORT_SECONDS = 0.13
"""Seconds for a megabyte of objects to import, for JSON with the masks of J-HMDB."""
BYTES: Mapping[str, float] = {
    "detect": 700,  # a frame of the demo, with six objects
    "clips": 0.38,  # a stored pixel of VLOG at 256 x 256 with the default quality
}
"""Bytes on disk of the results, by work."""


def estimated_seconds(work: str, frames: float, *, device: str = "cpu") -> float | None:
    """Return the seconds for frames on this machine; None if the device was not measured.

    Args:
        work: a name in the table; variants without an entry count as the words before.
        frames: number of frames.
        device: `cpu`, `cuda`, `cuda:1`, ...
    """
    table = SECONDS.get(device.partition(":")[0], {})
    shorter = accumulate(work.split(" "), "{} {}".format)
    seconds = next((table[name] for name in reversed([*shorter]) if name in table), None)
    return None if seconds is None else round(frames * seconds / usable_cores(), 3)


def time_text(seconds: float | None) -> str:
    """Return a time such as `40 s`, `12 min`, `3.5 h` or `?`."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
