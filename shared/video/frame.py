"""A frame of a video, and what a video says of itself."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

MOST_PIXELS = 8192 * 8192
"""Most pixels of a frame: a stereo panorama in 8K, whose RGB takes 201 MB. What claims more is not
decoded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One decoded picture."""

    index: int
    """Place in the decoded stream, from 0."""
    seconds: float
    """Presentation time; later than that of the frame before."""
    image: NDArray[np.uint8]
    """(H, W, 3) uint8 RGB, upright."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a video says of itself; only its first frame has been decoded."""

    height: int
    """Rows of an upright frame."""
    width: int
    """Columns of an upright frame."""
    rate: float
    """Frames a second, on average."""
    header_frames: int | None
    """How many frames the header promises, which may be wrong; None where it is silent. For a
    folder of JPEGs, the number of files."""
    sample_aspect: Fraction | None = None
    """Width : height of a pixel of an upright frame; None where the header is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameEstimate:
    """What can be told of a video's length without decoding anything."""

    frames: int
    """About how many frames there are: by the header, else one a packet; one a JPEG of a folder."""
    rate: float
    """Frames a second, on average."""
    duration_seconds: float | None = None
    """Where it is not frames / rate, as in a folder that lacks most numbers."""
    problem: str = ""
    """Why the video cannot be opened; empty if it can."""

    @property
    def seconds(self) -> float:
        """About how long it is."""
        return self.frames / self.rate if self.duration_seconds is None else self.duration_seconds
