"""Times of a video's frames, packet by packet as PyAV decodes them, with the rule for bad times."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

METADATA_AS_IT_IS = {} if av.__version__ >= "19" else {"metadata_errors": "ignore"}


def decoded(path: Path) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
    """Presentation time, if any, and (H, W, 3) picture as stored, of every frame that decodes."""
    with av.open(str(path), **METADATA_AS_IT_IS) as container:
        stream = container.streams.best("video")
        assert stream is not None
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                image: NDArray[Any] = frame.to_ndarray(format="rgb24")
                yield frame.time, image


def repaired_seconds(times: list[float | None], *, rate: float) -> list[float]:
    """A time that is missing or not after the one before becomes the one before + 1 / rate."""
    seconds: list[float] = []
    for time in times:
        if not seconds:
            seconds.append(0.0 if time is None else time)
        elif time is None or time <= seconds[-1]:
            seconds.append(seconds[-1] + 1 / rate)
        else:
            seconds.append(time)
    return seconds
