"""Videos that are made to be measured with."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["moving_pictures", "write_video"]


def moving_pictures(num_frames: int, *, height: int, width: int) -> list[NDArray[np.uint8]]:
    """(height, width, 3) uint8 RGB pictures of coloured rectangles that move over a texture."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(60, 190, (height // 8 + 1, width // 8 + 1, 3))
    texture = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width].astype(np.uint8)
    colours = generator.integers(0, 256, (12, 3))
    places, speeds = generator.random((12, 2)), generator.normal(0, 0.01, (12, 2))
    sizes = generator.uniform(0.08, 0.3, (12, 2))
    pictures = []
    for index in range(num_frames):
        picture = texture.copy()
        for colour, place, speed, size in zip(colours, places, speeds, sizes, strict=True):
            y, x = ((place + index * speed) % 1 * (height, width)).astype(int)
            rows, columns = (size * (height, width)).astype(int)
            picture[y : y + rows, x : x + columns] = colour
        pictures.append(picture)
    return pictures


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> Path:
    """An H.264 file at 25 frames/s."""
    rest = iter(pictures)
    first = next(rest)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in chain([first], rest):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
