"""Folders of JPEGs: order, times by number, damaged files, and folders that are none."""

from collections.abc import Iterable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import VideoDecodeError
from orn.shared.video import jpeg_folder
from orn.shared.video.jpeg_folder import estimate_folder, folder_seconds, probe_folder, read_folder
from orn.shared.video.read import content_bytes, content_digest, frame_seconds, probe, read_frames
from tests.worlds.videos import HEIGHT, WIDTH, number_of, numbered_image


def write_folder(folder: Path, files: Iterable[tuple[str, int]]) -> Path:
    """JPEGs by name, each showing a number."""
    folder.mkdir(exist_ok=True)
    for name, number in files:
        Image.fromarray(numbered_image(number)).save(folder / name, "JPEG", quality=95)
    return folder


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["0001.jpg", "0002.jpg", "0003.jpg"], [0, 1, 2]),
        (["000.jpg", "001.jpg", "002.jpg"], [0, 1, 2]),
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
    frames = list(read_frames(folder, rate=12.0))
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2]
    assert [frame.index for frame in frames] == [0, 1, 2]
    np.testing.assert_allclose([frame.seconds for frame in frames], np.array(places) / 12)
    assert frames[0].image.shape == (HEIGHT, WIDTH, 3)
    assert frames[0].image.dtype == np.uint8


@pytest.mark.parametrize("name", [f"{'9' * 20}.jpg", f"{'9' * 240}.jpg"])
def test_a_number_that_no_video_reaches_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path / "v", [("1.jpg", 0), ("2.jpg", 1), (name, 2)])
    for read in (frame_seconds, estimate_folder, lambda *a, **k: list(read_frames(*a, **k))):
        with pytest.raises(VideoDecodeError, match=rf"{name}: expected a frame number"):
            read(folder, rate=12.0)


def test_frames_before_the_range_are_not_decoded_where_all_look_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "v", [(f"{i:03d}.jpg", i) for i in range(9)])
    watched = Mock(side_effect=jpeg_folder.jpeg_image)
    monkeypatch.setattr(jpeg_folder, "jpeg_image", watched)
    seconds = frame_seconds(folder, rate=10.0)
    assert seconds is not None
    np.testing.assert_allclose(seconds, np.arange(9) / 10)
    frames = list(read_frames(folder, rate=10.0, start=6, stop=8))
    assert [(f.index, number_of(f.image), f.seconds) for f in frames] == [(6, 6, 0.6), (7, 7, 0.7)]
    decoded = [call.args[0].name for call in watched.mock_calls]
    assert decoded == ["000.jpg", "006.jpg", "007.jpg"]  # the first, for the size
    for start, stop, wanted in ((8, None, [8]), (8, 99, [8]), (9, None, []), (0, 0, [])):
        found = read_frames(folder, rate=10.0, start=start, stop=stop)
        assert [number_of(frame.image) for frame in found] == wanted


def test_a_first_file_that_only_looks_whole_does_not_shift_a_range(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "v", [(f"{i:03d}.jpg", i) for i in range(4)])
    content = (folder / "000.jpg").read_bytes()
    begin_of_scan = content.index(b"\xff\xda")
    (folder / "000.jpg").write_bytes(content[:begin_of_scan] + b"\xff\xd9")
    assert frame_seconds(folder, rate=10.0) is not None
    frames = list(read_frames(folder, rate=10.0, start=1))
    assert [(frame.index, number_of(frame.image)) for frame in frames] == [(1, 2), (2, 3)]


def test_damaged_files_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "v", [(f"{i + 1}.jpg", i) for i in range(5)])
    (folder / "2.jpg").write_bytes(b"no picture")
    content = (folder / "4.jpg").read_bytes()
    (folder / "4.jpg").write_bytes(content[: len(content) // 2])
    frames = list(read_frames(folder, rate=10.0))
    assert [number_of(frame.image) for frame in frames] == [0, 2, 4]
    assert [frame.index for frame in frames] == [0, 1, 2]
    np.testing.assert_allclose([frame.seconds for frame in frames], [0.0, 0.2, 0.4])
    (record,) = caplog.records
    assert "2 of 5 JPEGs left out, which cannot be decoded (2.jpg: " in record.getMessage()
    assert frame_seconds(folder, rate=10.0) is None
    later = read_frames(folder, rate=10.0, start=1)
    assert [(frame.index, number_of(frame.image)) for frame in later] == [(1, 2), (2, 4)]


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
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for files, message in (([], "found none in it"), (["1.jpg"], "none of 1 JPEG can be decoded")):
        write_folder(tmp_path / "v", [])
        for name in files:
            (tmp_path / "v" / name).write_bytes(b"no picture")
        for read in (lambda *a, **k: list(read_frames(*a, **k)), probe):
            with pytest.raises(VideoDecodeError, match=f"v: .*{message}"):
                read(tmp_path / "v", rate=10.0)
    gone = tmp_path / "gone"
    for read in (
        folder_seconds,
        probe_folder,
        estimate_folder,
        lambda p, rate: [*read_folder(p, rate=rate)],
    ):
        with pytest.raises(VideoDecodeError, match=r"gone: the folder cannot be read \(No such"):
            read(gone, rate=10.0)
    for measure in (probe, frame_seconds, content_bytes, content_digest):
        with pytest.raises(VideoDecodeError, match=r"cannot be read \(File name too long"):
            measure(tmp_path / ("v" * 300))


@pytest.mark.parametrize("rate", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_a_folder_needs_a_rate(tmp_path: Path, rate: float | None) -> None:
    folder = write_folder(tmp_path / "v", [("1.jpg", 0)])
    for read in (lambda *a, **k: list(read_frames(*a, **k)), probe):
        with pytest.raises(VideoDecodeError, match=f"v: .* in frames a second, found {rate}"):
            read(folder, rate=rate)


@pytest.mark.real_data
def test_real_folders(sample_data: Path) -> None:
    epic = list(read_frames(sample_data / "epic" / "frames" / "P01" / "P01_01", rate=60.0))
    assert len(epic) == 100
    assert epic[0].image.shape == (256, 456, 3)
    assert (epic[0].seconds, epic[99].seconds) == (0.0, 99 / 60)
    sparse = list(read_frames(sample_data / "epic100" / "frames" / "P28" / "P28_101", rate=60.0))
    assert [frame.seconds for frame in sparse] == [(79 + 5 * i) / 60 for i in range(8)]
    info = probe(sample_data / "something" / "frames" / "151201", rate=12.0)
    assert (info.header_frames, info.height) == (33, 240)
