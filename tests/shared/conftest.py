"""Videos whose frames show their own numbers, so that an off-by-one is seen in the pixels."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

NUM_BITS = 10
HEIGHT, WIDTH = 32, 16 * NUM_BITS
VideoWriter = Callable[..., Path]


def numbered_image(number: int, *, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A row of blocks, one a bit of the number, lowest first: white for 1. The left edge is red."""
    image = np.zeros((height, WIDTH, 3), np.uint8)
    for bit in range(NUM_BITS):
        if number >> bit & 1:
            image[:, 16 * bit : 16 * (bit + 1)] = 255
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The number that a picture shows, whatever its size."""
    height, width, _ = image.shape
    step = width / NUM_BITS
    row = image[height // 2].mean(axis=1)
    return sum(1 << bit for bit in range(NUM_BITS) if row[int(step * (bit + 0.5))] > 128)


def write_numbered(
    path: Path,
    num_frames: int,
    *,
    rate: int | Fraction = 10,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    height: int = HEIGHT,
    pts: Sequence[int] | None = None,
    first: int = 0,
    turn: int = 0,
    sample_aspect: Fraction | None = None,
    container_options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    noise: int = 0,
) -> Path:
    """Writes frames with the numbers 0, 1, ... in ticks of 1 / rate.

    `pts` gives the times in such ticks; `first` is the first number; `turn` is a rotation,
    counter-clockwise, that the file asks for; `sample_aspect` is width : height of a pixel; `noise`
    is how much pixels differ from what they should be.
    """
    draw = np.random.default_rng(0)
    with (
        _priority_put_back(),
        av.open(str(path), "w", options=container_options or {}) as container,
    ):
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, height, pix_fmt
        if sample_aspect is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect
        if turn:
            stream.set_display_rotation(turn)
        for place in range(num_frames):
            image = numbered_image(first + place, height=height)
            if noise:
                image ^= draw.integers(0, noise, image.shape, np.uint8)
            frame = VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = place if pts is None else pts[place]
            frame.time_base = 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextmanager
def _priority_put_back() -> Iterator[None]:
    """SVT-AV1 gives itself real-time priority where it may, as root, and the thread that calls it,
    too. All that the thread starts would have it for good, and nothing else a turn."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@pytest.fixture
def write_video() -> VideoWriter:
    """`write_numbered`: `write_video(path, num_frames, ...)`."""
    return write_numbered
