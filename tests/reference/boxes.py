"""Numbers of a box and of a pair of boxes, one by one, in float64."""

import math

import torch
from torch import Tensor

from orn.stage2_train.model.inputs import ClipBatch


def box_of(batch: ClipBatch, clip: int, frame: int, slot: int) -> tuple[float, ...]:
    """x1 y1 x2 y2 as fractions of the crop."""
    height, width = batch.frames_BTCHW.shape[3:]
    x1, y1, x2, y2 = batch.boxes_BTK4[clip, frame, slot].tolist()
    return x1 / width, y1 / height, x2 / width, y2 / height


def box_numbers(box: tuple[float, ...], score: float) -> Tensor:
    """Center, size, root of the area, log aspect, lower edge, score."""
    x, y, width, height = _center_and_size(box)
    numbers = [x, y, width, height, math.sqrt(width * height), math.log(width / height)]
    return torch.tensor([*numbers, box[3], score], dtype=torch.float64)


def pair_numbers(first: tuple[float, ...], second: tuple[float, ...], seconds: float) -> Tensor:
    """Offset, log ratios of width and height, intersection over union, seconds."""
    x, y, width, height = _center_and_size(first)
    other_x, other_y, other_width, other_height = _center_and_size(second)
    across = max(min(first[2], second[2]) - max(first[0], second[0]), 0)
    down = max(min(first[3], second[3]) - max(first[1], second[1]), 0)
    shared = across * down
    union = width * height + other_width * other_height - shared
    numbers = [other_x - x, other_y - y, math.log(other_width / width)]
    numbers += [math.log(other_height / height), shared / union, seconds]
    return torch.tensor(numbers, dtype=torch.float64)


def _center_and_size(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, 0.01), max(y2 - y1, 0.01)
