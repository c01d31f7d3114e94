"""Videos that failed in an earlier run of a job, tried again."""

from __future__ import annotations

import logging

from shared.shards.plan import Unit, shard_path
from shared.shards.shard import Shard
from stage1_detect.planning import DetectJob, with_estimates

__all__ = ["failed_units", "forget_failed"]

logger = logging.getLogger(__name__)


def failed_units(job: DetectJob) -> tuple[Unit, ...]:
    """The units that are asked for and whose shard records a failed video.

    Raises:
        ShardFormatError: if a shard cannot be read.
    """
    paths = {unit: shard_path(job.folder, unit.index) for unit in job.units}
    return tuple(unit for unit, path in paths.items() if path.exists() and Shard(path).failed)


def forget_failed(job: DetectJob) -> DetectJob:
    """Removes the shards of `failed_units`, so that these units are still to do.

    Raises:
        ShardFormatError: if a shard cannot be read; then none is removed.
    """
    units = failed_units(job)
    job = with_estimates(job, units)
    logger.info("%d units with failed videos are done again", len(units))
    for unit in units:
        shard_path(job.folder, unit.index).unlink(missing_ok=True)
    return job
