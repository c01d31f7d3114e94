"""A detector's entry, frames with made-up detections, and shards made of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.column import CHUNK_BYTES, Column, write_group
from orn.shared.shards.record import read_record
from orn.shared.shards.schema import ArraySpec, DetectorEntry
from orn.shared.shards.shard import Shard
from tests.worlds import shards
from tests.worlds.shards import DETECTOR, drawn_detections

FrameMaker = Callable[..., FrameDetections]
Range = tuple[Sequence[int], Sequence[float]]
ShardMaker = Callable[..., Path]


def columns_of(
    arrays: Mapping[str, NDArray[Any]], *, chunk_bytes: int = CHUNK_BYTES
) -> dict[str, Column]:
    """The arrays as columns, with axes called a, b, c."""
    columns = {}
    for name, values in arrays.items():
        axes = tuple("abc"[: values.ndim])
        spec = ArraySpec(dtype=values.dtype, row=values.shape[1:], axes=axes, counts="rows")
        columns[name] = Column(spec, chunk_bytes=chunk_bytes)
        columns[name].add(values)
    return columns


def arrays_in(path: Path) -> dict[str, NDArray[Any]]:
    """Copies of all arrays of a shard."""
    arrays = Shard(path).arrays
    return {name: arrays.rows(name, 0, arrays.num_rows(name)).copy() for name in arrays}


def with_arrays(path: Path, **changes: NDArray[Any] | None) -> Path:
    """A shard beside another, with arrays replaced, or left out for None, and right checksums."""
    arrays = {name: each for name, each in (arrays_in(path) | changes).items() if each is not None}
    attributes = read_record(path).attributes.to_json()
    target = path.with_name("changed.zarr.zip")
    write_group(target, columns=columns_of(arrays), attributes=attributes)
    return target


def spoilt(path: Path, name: str, place: Any, value: Any) -> Path:
    """A shard beside another, with other elements in one array."""
    values = arrays_in(path)[name]
    values[place] = value
    return with_arrays(path, **{name: values})


@pytest.fixture(scope="session")
def detector() -> DetectorEntry:
    """What the made-up detections say they were made with."""
    return DETECTOR


@pytest.fixture(scope="session")
def make_frame() -> FrameMaker:
    """`drawn_detections`: `make_frame(seed, num, height, width, class_scores)`."""
    return drawn_detections


def write_drawn(
    path: Path,
    videos: Mapping[str, Range],
    failed: Mapping[str, str] | None = None,
    detector: DetectorEntry = DETECTOR,
    digest: str = "sha256:03",
) -> Path:
    """A shard of videos by id, with the indices and seconds of their frames, and of failures by id,
    with their reasons.

    The detections of frame i are `drawn_detections(i, i % 4)`.
    """
    placed = {
        video_id: [
            (index, second, drawn_detections(index, index % 4))
            for index, second in zip(*given, strict=True)
        ]
        for video_id, given in videos.items()
    }
    return shards.write_shard(
        path,
        placed,
        size=(12, 17),
        detector=detector,
        failed=failed,
        source_bytes=5,
        source_digest=digest,
    )


@pytest.fixture(scope="session")
def write_shard() -> ShardMaker:
    """`write_drawn`."""
    return write_drawn
