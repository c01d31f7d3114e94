"""Names of the files in a folder of shards."""

from orn.shared.jobs.plan import UnitFiles

SHARD_FILES = UnitFiles(stem="shard", suffix=".zarr.zip")
SHARD_PATTERN = SHARD_FILES.pattern
"""Names of the shards in their folder, as `glob` takes it."""
shard_path = SHARD_FILES.path
"""Gives the file of a unit's shard from the folder and the number of the unit."""
