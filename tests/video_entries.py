"""What shards of the tests say of their videos."""

from typing import Any

from orn.shared.shards.schema import VideoEntry


def video_entry(video_id: str, *, height: int, width: int, rate: float, **other: Any) -> VideoEntry:
    """A video that is to be written; its writer counts the frames."""
    usual = {"frames": 0, "header_frames": None, "source_bytes": 1, "source_digest": "sha256:0"}
    return VideoEntry(id=video_id, height=height, width=width, rate=rate, **usual | other)
