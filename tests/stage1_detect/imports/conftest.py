"""Small files of masks in the released formats, written from their descriptions."""

import pickle
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from orn.inspection.verify import verify_shard
from orn.shared.masks import rle
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import DetectorEntry
from orn.stage1_detect.imports.import_config import FormatName, ImportConfig, ObjectOptions
from orn.stage1_detect.imports.import_unit import ImportWork
from orn.stage1_detect.imports.object_table import positions_of
from orn.stage1_detect.imports.source_videos import find_source_videos
from tests.worlds.tables import counted_videos

Found = tuple[Sequence[float], bytes, float, int]
"""Box, mask, score and class of a detection, as the file has them."""


def block_mask(x1: int, y1: int, x2: int, y2: int) -> bytes:
    """Run lengths of a rectangle on the grid of 100 x 100."""
    mask_HW = np.zeros((100, 100), dtype=bool)
    mask_HW[y1:y2, x1:x2] = True
    return rle.encode(mask_HW)


BLOCK: Found = ((10, 20, 50, 75), block_mask(10, 20, 50, 75), 0.75, 3)


def _varint(value: int) -> bytes:
    """https://protobuf.dev/programming-guides/encoding/: seven bits a byte, lowest first."""
    value &= 2**64 - 1  # a negative int32 is written with 64 bits
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _float_field(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value) if value else b""


def _int_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value) if value else b""


def pack_frame(number: int, objects: Sequence[Found]) -> bytes:
    """A message FrameObjectDetections; what is 0 is left out, as proto3 has it."""
    packed = _int_field(2, number)
    for box, mask, score, label in objects:
        bbox = b"".join(_float_field(place, value) for place, value in enumerate(box, start=1))
        detection = _bytes_field(1, bbox) + _bytes_field(2, mask)
        detection += _float_field(3, score) + _int_field(4, label)
        packed += _bytes_field(3, detection)
    return packed


def write_epic(path: Path, frames: Sequence[tuple[int, Sequence[Found]]]) -> Path:
    """A file `PXX_YY.pkl` as released."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = [pack_frame(number, objects) for number, objects in frames]
    path.write_bytes(pickle.dumps(packed, 3))
    return path


def write_authors(path: Path, frames: Sequence[Sequence[Found]]) -> Path:
    """A file `clip.pkl` as the authors of the paper write it; boxes in pixels of the grid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    segms: list[Any] = [[[] for _ in range(81)] for _ in frames]
    boxes: list[Any] = [[[] for _ in range(81)] for _ in frames]
    for place, frame in enumerate(frames):
        for box, mask, score, label in frame:
            segms[place][label].append({"size": [100, 100], "counts": mask})
            boxes[place][label].append(np.array([*box, score], dtype=np.float32))
    path.write_bytes(pickle.dumps({"segms": segms, "boxes": boxes}, 4))
    return path


def boxes_of_records(form: FormatName, source: Path, classes: Path | None = None) -> list[Any]:
    """Boxes in each frame of a source, whatever frames its videos have."""
    options = ObjectOptions(classes=classes)
    config = ImportConfig(dataset="any", source=source, form=form, options=options)
    with TemporaryDirectory() as folder:
        table = Path(folder) / "objects.sqlite"
        videos, classes = find_source_videos(config, table)
        work = ImportWork(
            config=config,
            entry=DetectorEntry.imported(form, class_names=classes),
            folder=Path(folder),
            table=table,
            matched={},
            videos={},
        )
        every = [positions_of(table, video)[1] >= 0 for video in videos]
        return [
            frame.detections.boxes.tolist()
            for video, selected_P in zip(videos, every, strict=True)
            for frame in work.frames_in_table(video, video.grid or (6, 8), selected_P=selected_P)
        ]


@pytest.fixture
def convert(orn: Any, tmp_path: Path) -> Any:
    """`orn import-objects` of the folder's manifest and masks, into its shards."""
    places = ("--data", tmp_path / "data", "--out", tmp_path / "shards")
    return partial(orn, "import-objects", tmp_path / "mine.toml", tmp_path / "masks", *places)


@pytest.fixture
def two_videos(tmp_path: Path) -> Path:
    """A manifest of the videos a and b, of 12 and 3 frames, 10 a second."""
    return counted_videos(tmp_path, {"a": 12, "b": 3})


@pytest.fixture
def objects(orn: Any, two_videos: Path, tmp_path: Path) -> Any:
    """Imports a source for the two videos; gives the summary and the shard, which is whole."""
    places = ("--data", tmp_path / "data", "--out", tmp_path / "shards", "--fresh", "--json")

    def run(source: Path, *words: Any, exit_code: int = 0) -> tuple[Any, Shard]:
        command = ("import-objects", two_videos, source, *places, *words)
        summary = orn(*command, exit_code=exit_code).json
        (path,) = (tmp_path / "shards").glob("shard-*")
        assert verify_shard(path) == []
        return summary, Shard(path)

    return run
