"""Peak memory of `orn detect` for a long and a short video.

A detector without a network is used, since the network's memory would hide any growth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.benchmarks.made_inputs import ENTRY, GRID, ellipses, moving_pictures, write_video
from orn.benchmarks.measuring import peak_bytes
from orn.data_manifests.records import Video
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ScoreKind
from orn.stage1_detect.detect_unit import UnitDetector

_DETECTIONS = 20
"""Number of objects in a frame."""


def long_over_short(short: int, long: int, *, tiny: bool) -> dict[str, float] | None:
    """Return the peak resident bytes for two generated videos and their difference; None if memory
    is not requested.

    Args:
        short: frames of the short video.
        long: frames of the long video; 0: do not measure.
        tiny: whether to use tiny sizes for a test run.
    """
    if not long:
        return None
    short, long = (40, 80) if tiny else (short, long)
    record: dict[str, float] = {"short_frames": short, "long_frames": long}
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in (("short", short), ("long", long)):
            pictures = islice(cycle(moving_pictures(250, height=GRID, width=GRID)), frames)
            video = write_video(Path(folder) / f"{name}.mp4", pictures)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                before = process.submit(_detect_video, video, frames).result()
                peak = process.submit(peak_bytes).result()
            record |= {f"{name}_peak_bytes": peak, f"{name}_bytes_above_start": peak - before}
    growth = record["long_peak_bytes"] / record["short_peak_bytes"] - 1
    return {**record, "growth": growth, "objects_a_frame": _DETECTIONS}


class InstantDetector:
    """Detector that returns ellipses that depend on the frame."""

    entry = replace(ENTRY, batch_size=8)
    score_kind: ScoreKind = "softmax"

    def prepare(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the frame like a network's input: float32, channels first."""
        return image_HWC.transpose(2, 0, 1).astype(np.float32) / np.float32(255)

    def infer(self, prepared: Sequence[NDArray[np.float32]], _: object) -> Sequence[int]:
        """Return a seed for each frame."""
        return [int(frame_CHW.mean() * 1000) for frame_CHW in prepared]

    def encode(self, seed: int) -> FrameDetections:
        """Return the objects with their masks and class scores."""
        return ellipses(np.random.default_rng(seed), count=_DETECTIONS, class_scores=True)


def _detect_video(path: Path, frames: int) -> int:
    """Detect objects in a video like `orn detect`, and return the prior peak memory."""
    before = peak_bytes()
    detect = UnitDetector(
        InstantDetector(),
        videos={"video": Video(id="video", path=path)},
        folder=path.with_suffix(".shards"),
    )
    assert sum(detect(unit).steps for unit in plan_units([("video", frames)])) == frames
    return before
