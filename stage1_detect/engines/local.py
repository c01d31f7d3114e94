"""Runs the units of a plan one after another in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from shared.jobs.termination import terminated_as_interrupted
from shared.manifests.records import Video
from shared.shards.plan import Unit, shard_path
from stage1_detect.detector import Detector
from stage1_detect.frame_source import FrameSource
from stage1_detect.pipeline import UnitResult, detect_unit

__all__ = ["run_units"]


def run_units(
    units: Sequence[Unit],
    *,
    videos: Mapping[str, Video],
    detector: Detector,
    folder: Path,
    batch: int,
    advance: Callable[[int], None] = lambda frames: None,
) -> Iterator[UnitResult]:
    """Detects unit by unit; each result is handed out when its shard is on the disk.

    SIGTERM ends the work as ctrl-C does: the unit in work leaves nothing, those before it stay.

    Args:
        units: what is still to do, in the order of the plan.
        videos: the videos of the plan by id.
        detector: what finds the objects.
        folder: where the shards go.
        batch: most frames that the network sees at once.
        advance: called with the number of frames after each batch.
    """
    source = FrameSource(videos, batch=batch, prepare=detector.prepare)
    for unit in units:
        path = shard_path(folder, unit.index)
        with terminated_as_interrupted():
            result = detect_unit(unit, source=source, detector=detector, path=path, advance=advance)
        yield result
