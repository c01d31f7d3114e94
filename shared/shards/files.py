"""Names of the files in a folder of shards."""

from orn.shared.jobs.plan import UnitFiles

SHARD_FILES = UnitFiles(stem="shard", suffix=".zarr.zip")
SHARD_PATTERN = SHARD_FILES.pattern
"""Pattern of the names of shards for `glob`."""
shard_path = SHARD_FILES.path
"""Returns the path of a shard by folder and number of the unit."""
