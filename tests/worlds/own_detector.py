"""A detector of a user, as `--detector FILE.py:NAME` loads it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = str(Path(__file__))


class Blocks:
    """Finds the left half of each frame, a mouse, and its right half, a pipette; with tracks."""

    classes = ("mouse", "pipette")
    name = "blocks"
    version = "1"

    def __init__(self) -> None:
        self.seen = 0

    def reset(self) -> None:
        self.seen = 0

    def __call__(
        self, frames: list[NDArray[np.uint8]], video: Any, times: tuple[float, ...]
    ) -> list[dict[str, Any]]:
        assert len(frames) == len(times) and video.path.exists()
        results = []
        for frame in frames:
            height, width, _ = frame.shape
            masks = np.zeros((2, height, width), np.bool_)
            masks[0, :, : width // 2] = masks[1, :, width // 2 :] = True
            boxes = [[0, 0, width // 2, height], [width // 2, 0, width, height]]
            results.append(
                {
                    "boxes": np.array(boxes, np.float64),
                    "labels": np.array([0, 1]),
                    "scores": np.array([frame.mean() / 255, 0.9]),
                    "masks": masks,
                    "tracks": np.array([self.seen, 7]),
                }
            )
            self.seen += 1
        return results
