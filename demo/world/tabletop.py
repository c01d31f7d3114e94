"""Table tops: wood, tiles, cloth or stone, as the background of a film."""

from __future__ import annotations

import cv2
import numpy as np


def draw_table(
    rng: np.random.Generator, *, height: int, width: int, contrast: float = 1.0
) -> np.ndarray:
    """(height, width, 3) float32 picture of a table top, values 0 to 255.

    Args:
        contrast: How much of its pattern can be seen, 1 as it is, 0 nothing.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = rng.uniform(70, 190) + rng.normal(0, 18, 3)
    kind = rng.integers(4)
    if kind == 0:
        pattern = _wood(x, y, rng)
    elif kind == 1:
        pattern = _tiles(x, y, rng)
    elif kind == 2:
        pattern = _cloth(x, y, rng)
    else:
        pattern = np.zeros_like(x)
    for cells, strength in ((6, 16.0), (24, 8.0), (80, 5.0)):
        coarse = rng.normal(0.0, strength, (cells, cells)).astype(np.float32)
        pattern = pattern + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    slope = rng.normal(0, 0.15, 2)
    shade = 1.0 + slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5)
    tint = 1.0 + rng.normal(0, 0.12, 3)
    table = (base + contrast * pattern[..., None] * tint) * shade[..., None]
    return np.clip(table, 10, 245).astype(np.float32)


def _wood(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    ring = np.sin(across * rng.uniform(0.25, 0.6) + 3 * np.sin(along * 0.03 + rng.uniform(0, 6)))
    plank = np.floor(across / rng.uniform(22, 40)) % 2
    return 10 * ring + 12 * plank


def _tiles(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = rng.uniform(16, 40)
    joint = (np.mod(x + rng.uniform(0, size), size) < 1.5) | (np.mod(y, size) < 1.5)
    checks = (np.floor(x / size) + np.floor(y / size)) % 2
    return -30.0 * joint + rng.uniform(0, 30) * checks


def _cloth(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    step_x, step_y = rng.uniform(6, 20, 2)
    warp = np.sin(2 * np.pi * x / step_x) > 0.3
    weft = np.sin(2 * np.pi * y / step_y) > 0.3
    return rng.uniform(10, 28) * (warp.astype(np.float32) + weft.astype(np.float32) - 1.0)
