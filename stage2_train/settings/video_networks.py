"""The video networks of torchvision, and the windows of frames that they read.

Number of frames and frame rate are those with which torchvision states the accuracy of its weights
(`_docs` in the `meta` of the weights, version 0.28), except for the number of frames of s3d: 128
there, 16 here.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Positive

TORCHVISION = "torchvision/"
"""Prefix of the names of torchvision's video networks."""
_Frames = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FrameWindow:
    """The window of frames from which a video network computes the map of a frame.

    Time is divided into slices, from time 0 on. The frames of a slice have the same map: the middle
    slice (the later of two) of the network's output for the window around it. At the ends of a
    video, windows repeat its first and last frame.
    """

    frames: _Frames
    """N, number of frames."""
    rate: Positive
    """Frames per second, sampled by time from the frames of the video."""
    slice_frames: _Frames
    """Number of frames of the window in a slice."""

    @property
    def middle(self) -> int:
        """Index of the middle slice of the window."""
        return self.frames // self.slice_frames // 2

    def first_second(self, slice_index: int) -> float:
        """Return the time of the first frame of the window around a slice."""
        return (slice_index - self.middle) * self.slice_frames / self.rate

    def slice_at(self, seconds: float) -> int:
        """Return the index of the slice that contains a time."""
        return int(seconds * self.rate / self.slice_frames // 1)


WINDOWS: Mapping[str, FrameWindow] = {
    f"{TORCHVISION}{name}": window
    for names, window in (
        (("r3d_18", "r2plus1d_18", "s3d"), FrameWindow(frames=16, rate=15.0, slice_frames=8)),
        (("mc3_18",), FrameWindow(frames=16, rate=15.0, slice_frames=1)),
        (("mvit_v1_b", "mvit_v2_s"), FrameWindow(frames=16, rate=7.5, slice_frames=2)),
        (
            ("swin3d_t", "swin3d_s", "swin3d_b"),
            FrameWindow(frames=32, rate=15.0, slice_frames=2),
        ),
    )
    for name in names
}
"""Windows of all supported networks."""
