"""What Python code imports from here, see docs/python.md; what is heavy is imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.shards.shard import Shard

__all__ = ["open_shard"]


def open_shard(path: str | Path) -> Shard:
    """A shard of `orn detect`; its `frames()` gives one frame after another, with masks as arrays
    by `frame.detections.mask_arrays()`. Nothing but what is asked for is read.

    Raises:
        ShardNotFoundError: if there is no such file.
        ShardFormatError: if it is damaged, or not of a format version that this release reads.
    """
    from shared.shards.shard import Shard

    return Shard(Path(path))
