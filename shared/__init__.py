"""What both stages stand on: manifests, video, masks, shards and the command line."""

from shared.interface import open_shard

__all__ = ["open_shard"]
