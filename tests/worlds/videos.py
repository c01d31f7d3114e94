"""Videos whose frames show which they are, so that an off-by-one is seen in the pixels."""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

NUM_BITS = 10
HEIGHT, WIDTH = 32, 16 * NUM_BITS
GRAY_STEP = 10
"""Frame i of `write_gray` has gray level GRAY_STEP * (i + 1), modulo 250."""


def write_pictures(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    rate: int | Fraction = 10,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    turn: int = 0,
    sample_aspect: Fraction | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes (H, W, 3) uint8 RGB pictures of one size as a video.

    `pts` gives the times in ticks of 1 / rate, 0, 1, ... by default; `turn` is a rotation, counter-
    clockwise, that the file asks for; `sample_aspect` is width : height of a pixel.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        _priority_put_back(),
        av.open(str(path), "w", options=container_options or {}) as container,
    ):
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        for place, picture in enumerate(pictures):
            if not place:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                if sample_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = sample_aspect
                if turn:
                    stream.set_display_rotation(turn)
            frame = VideoFrame.from_ndarray(picture, format="rgb24")
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


def numbered_image(number: int, *, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A row of blocks, one a bit of the number, lowest first: white for 1."""
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
    height: int = HEIGHT,
    first: int = 0,
    noise: int = 0,
    **options: Any,
) -> Path:
    """Writes frames with the numbers `first`, `first` + 1, ...; pixels differ by up to `noise` from
    what they should be; other options are those of `write_pictures`."""
    draw = np.random.default_rng(0)
    pictures = []
    for number in range(first, first + num_frames):
        image = numbered_image(number, height=height)
        if noise:
            image ^= draw.integers(0, noise, image.shape, np.uint8)
        pictures.append(image)
    return write_pictures(path, pictures, **options)


def gray_of(index: int) -> int:
    """Gray level of frame `index` of `write_gray`."""
    return GRAY_STEP * (index + 1) % 250


def write_gray(path: Path, num_frames: int, *, height: int = 48, width: int = 64) -> Path:
    """An MPEG-4 file at 10 frames/s whose frames tell their number by their gray level."""
    levels = map(gray_of, range(num_frames))
    pictures = [np.full((height, width, 3), level, np.uint8) for level in levels]
    return write_pictures(path, pictures, codec="mpeg4")


def write_folder(folder: Path, files: Iterable[tuple[str, int]]) -> Path:
    """Writes JPEGs by name, each showing a number."""
    folder.mkdir(exist_ok=True)
    for name, number in files:
        Image.fromarray(numbered_image(number)).save(folder / name, "JPEG", quality=95)
    return folder


def claim_frames(path: Path) -> None:
    """Has the header of an AVI or MP4 file promise 2^31 - 1 frames."""
    mark, skip, form = (b"strh", 40, "<I") if path.suffix == ".avi" else (b"stts", 12, ">I")
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, content.index(mark) + skip, 2**31 - 1)
    path.write_bytes(content)
