"""A detector's entry, frames with made-up detections, and shards made of them."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import ArraySpec, DetectorEntry
from orn.shared.shards.shard_record import read_record
from orn.shared.shards.writer import CHUNK_BYTES, Column, write_group
from tests.worlds import shards
from tests.worlds.shards import DETECTOR, drawn_detections

Range = tuple[Sequence[int], Sequence[float]]
Members = dict[str, bytes]


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


def spoilt(path: Path, name: str, place: Any, value: Any) -> Path:
    """A shard beside another, with other elements in one array, and right checksums."""
    arrays = arrays_in(path)
    arrays[name][place] = value
    attributes = read_record(path).attributes.to_json()
    target = path.with_name("changed.zarr.zip")
    write_group(target, columns=columns_of(arrays), attributes=attributes)
    return target


def repacked(
    path: Path, change: Callable[[Members], object], *, compression: int = zipfile.ZIP_STORED
) -> Path:
    """A shard beside another, packed anew after a change of its members, with right checksums."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    change(members)
    target = path.with_name("changed.zarr.zip")
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return target


def write_drawn(
    path: Path,
    videos: Mapping[str, Range],
    failed: Mapping[str, str] | None = None,
    detector: DetectorEntry = DETECTOR,
    digest: str = "sha256:03",
    class_scores: bool = True,
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
        class_scores=class_scores,
        source_bytes=5,
        source_digest=digest,
    )
