"""A frame of a video, and what a video says of itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShapeError

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


def check_images(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> None:
    """Check that frames given as arrays are as `Frame.image` has them, all of one size.

    Raises:
        ShapeError: they are no sequence, or one of them is something else.
    """
    if not isinstance(images, Sequence | np.ndarray) or getattr(images, "shape", None) == ():
        raise ShapeError(
            "frames: expected a sequence of (H, W, 3) uint8 RGB arrays, got one "
            f"{type(images).__name__}"
        )
    for place, image in enumerate(images):
        is_array = isinstance(image, np.ndarray)
        if is_array and image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size:
            if image.shape == images[0].shape:
                continue
            wanted = f"{images[0].shape}, as the first"
        else:
            wanted = "(H, W, 3)"
        found = f"{image.shape} {image.dtype}" if is_array else f"one {type(image).__name__}"
        raise ShapeError(f"frames: expected {wanted} uint8 RGB, got {found} at place {place}")


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

    def at_rate(self, rate: float | None) -> "FrameEstimate":
        """Return the estimate of the frames that `frame_selection.at_rate` picks."""
        if rate is None or rate >= self.rate:
            return self
        frames = min(self.frames, math.ceil(self.seconds * rate))
        return replace(self, frames=frames, rate=rate, duration_seconds=self.seconds)
