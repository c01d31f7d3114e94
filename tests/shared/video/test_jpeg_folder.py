"""Folders of JPEGs: order, times by number, damaged and hostile files, folders without frames."""

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import VideoDecodeError
from orn.shared.video.read import estimate, known_seconds, probe, read_frames
from tests.bounded import refusals
from tests.worlds.videos import HEIGHT, WIDTH, number_of, numbered_image, write_folder


def frames_of(folder: Path, **options: Any) -> list[tuple[int, int, float]]:
    """Index, number shown and time of each frame."""
    frames = read_frames(folder, **{"rate": 10.0, **options})
    return [(frame.index, number_of(frame.image), frame.seconds) for frame in frames]


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["0001.jpg", "0002.jpg", "0003.jpg"], [0, 1, 2]),
        (["1.jpg", "2.jpg", "10.jpg"], [0, 1, 9]),
        (["frame_0000000080.jpg", "frame_0000000085.jpg", "frame_0000000090.jpg"], [79, 84, 89]),
        (["a.jpg", "b.jpg", "c.JPG"], [0, 1, 2]),
        (["a.jpg", "x2.jpeg", "x4.jpg"], [0, 1, 2]),  # not all have a number
        (["x1.jpg", "y1.jpg", "z2.jpg"], [0, 1, 2]),  # a number twice
    ],
)
def test_order_and_times(tmp_path: Path, names: list[str], places: list[int]) -> None:
    folder = write_folder(tmp_path / "v", reversed([(n, i) for i, n in enumerate(names)]))
    (folder / "licence.txt").write_text("x")
    (folder / "._0001.jpg").write_bytes(b"what a Mac leaves")
    info = probe(folder, rate=12.0)
    assert (info.height, info.width, info.rate, info.header_frames) == (HEIGHT, WIDTH, 12.0, 3)
    length = estimate(folder, rate=12.0)  # up to the end of the last one
    assert (length.frames, length.seconds) == (3, pytest.approx((places[-1] + 1) / 12))
    frames = frames_of(folder, rate=12.0)
    assert frames == [(i, i, pytest.approx(place / 12)) for i, place in enumerate(places)]


def test_a_damaged_file_is_named(tmp_path) -> None:
    folder = write_folder(tmp_path / "v", [(f"{i + 1}.jpg", i) for i in range(3)])
    content = (folder / "2.jpg").read_bytes()
    for damaged in (b"no picture", content[: len(content) // 2]):
        (folder / "2.jpg").write_bytes(damaged)
        with pytest.raises(VideoDecodeError, match=r"2\.jpg: .*; replace or remove the file"):
            frames_of(folder)
        assert frames_of(folder, start=2) == [(2, 2, 0.2)]
    assert known_seconds(folder, rate=10.0).tolist() == [0.0, 0.1, 0.2]


def test_pictures_are_upright_rgb_of_one_size(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "v", [("1.jpg", 5)])
    rotated = Image.fromarray(np.rot90(numbered_image(6), -1))
    exif = Image.Exif()
    exif[0x0112] = 8  # shown a quarter turn counter-clockwise
    rotated.save(folder / "2.jpg", quality=95, exif=exif)
    Image.fromarray(numbered_image(7)[:, :, 0]).save(folder / "3.jpg")
    Image.fromarray(numbered_image(9, height=64)).save(folder / "4.jpg")
    frames = list(read_frames(folder, rate=10.0))
    assert [number_of(frame.image) for frame in frames] == [5, 6, 7, 9]
    assert {(frame.image.shape, frame.image.dtype.name) for frame in frames} == {
        ((HEIGHT, WIDTH, 3), "uint8")
    }


@pytest.mark.parametrize(("width", "height"), [(65500, 65500), (13000, 13000), (8192, 8193)])
def test_a_size_beyond_the_bound_is_refused_before_it_is_decoded(tmp_path, width, height) -> None:
    folder = write_folder(tmp_path / "v", [("1.jpg", 0), ("2.jpg", 1)])
    content = bytearray((folder / "1.jpg").read_bytes())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height, width)
    (folder / "1.jpg").write_bytes(content)
    (message,) = refusals(frames_of, [folder])
    assert re.search(f"1.jpg: .* 67,108,864 .* {width} x {height}", message)
