"""What a detect job would do, without the detector and without writing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shared.manifests.records import Dataset
from shared.shards.plan import plan_units, shard_path
from stage1_detect.detector_choice import DetectorFiles
from stage1_detect.planning import estimate_frames

__all__ = ["describe_job"]


def describe_job(
    dataset: Dataset, files: DetectorFiles, *, folder: Path, score_threshold: float
) -> dict[str, Any]:
    """The settings and the amount of work, as JSON has them."""
    estimates = estimate_frames(dataset.videos)
    units = plan_units(list(estimates.items()))
    return {
        "dataset": dataset.name,
        "out": str(folder),
        "config": files.config,
        "checkpoint": None if files.checkpoint is None else str(files.checkpoint),
        "score_threshold": score_threshold,
        "videos": len(dataset.videos),
        "missing": len(dataset.missing),
        "header_frames": sum(frames or 0 for frames in estimates.values()),
        "videos_of_unknown_length": sum(not frames for frames in estimates.values()),
        "units": len(units),
        "shards_there": sum(shard_path(folder, unit.index).exists() for unit in units),
    }
