"""Write pictures as a video that browsers and QuickTime can play: H.264 in MP4."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import replacing

_TICKS = 90_000
"""Ticks per second, the usual clock of MPEG."""
_QUALITY = "20"
"""H.264's constant rate factor: lower values give better quality and larger files."""
_BT_709 = 1
"""Code of BT.709 for color space, primaries and transfer, in H.264 and FFmpeg."""


def write_film(path: Path, pictures: Iterable[tuple[float, NDArray[np.uint8]]]) -> int:
    """Write a video atomically and return its number of pictures.

    Args:
        path: the file, which is replaced if it exists.
        pictures: increasing times in seconds and (H, W, 3) uint8 RGB pictures of equal size. The
            video starts with the first picture. An odd last row or column is repeated, because the
            format requires even sizes.

    Raises:
        PipelineError: if there are no pictures or the file cannot be written.
    """
    count, first, last = 0, 0.0, -1
    with replacing(path) as temporary:
        try:
            options = {"movflags": "+faststart"}
            with av.open(str(temporary), "w", format="mp4", options=options) as container:
                stream: Any = None
                for seconds, picture_HW3 in pictures:
                    height, width, _ = picture_HW3.shape
                    to_even = ((0, height % 2), (0, width % 2), (0, 0))
                    even_HW3 = np.pad(picture_HW3, to_even, mode="edge")
                    if stream is None:
                        stream, first = _stream(container, even_HW3), seconds
                    frame = VideoFrame.from_ndarray(even_HW3, format="rgb24").reformat(
                        format="yuv420p",
                        threads=1,
                        dst_colorspace=Colorspace.ITU709,
                        dst_color_range=ColorRange.MPEG,
                    )
                    last = max(round((seconds - first) * _TICKS), last + 1)
                    frame.pts, frame.time_base = last, Fraction(1, _TICKS)
                    container.mux(stream.encode(frame))
                    count += 1
                if stream is None:
                    raise PipelineError(f"{path}: expected pictures, got none; check the range")
                container.mux(stream.encode(None))
        except av.FFmpegError as err:
            raise PipelineError(f"{path}: could not be written ({err})") from err
    return count


def _stream(container: Any, picture_HW3: NDArray[np.uint8]) -> Any:
    stream = container.add_stream("libx264", options={"crf": _QUALITY, "preset": "veryfast"})
    stream.height, stream.width, _ = picture_HW3.shape
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _TICKS)
    # Declared in the file, so that players do not guess and the colors of classes are exact.
    context.colorspace = context.color_primaries = context.color_trc = _BT_709
    context.color_range = int(ColorRange.MPEG)
    return stream
