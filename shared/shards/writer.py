"""Write a shard: collect compressed detections and write the file atomically.

Rows are appended, and full chunks are compressed immediately to save memory. Zarr, which writes the
metadata documents, is imported with this module, so that errors occur at the start of a process.
"""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self, get_args

import google_crc32c
import numpy as np
import zarr
from numcodecs import Zstd
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from orn.shared.errors import ShapeError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ClassRules, ScoreKind, first_fault
from orn.shared.shards.shard_format import (
    ArraySpec,
    DetectorEntry,
    FailedVideo,
    LeftOut,
    ShardAttributes,
    VideoEntry,
    arrays_of,
)
from orn.shared.shards.shard_record import CHECKSUM_BYTES, member_name
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.read import content_bytes, content_digest, probe

CHUNK_BYTES = 128 * 1024
"""Size of a chunk before compression, small enough to read single frames."""

ZSTD_LEVEL = 9
_TIME = (1980, 1, 1, 0, 0, 0)  # constant, so that the output is deterministic


ColumnMark = tuple[int, NDArray[Any]]
"""A state of a column to which it can be restored: the number of full chunks, and a copy of the
rows after these chunks."""


@dataclass(slots=True, kw_only=True)
class _OpenVideo:
    """The current video, and the state of the columns before it, to be restored after a failure."""

    entry: VideoEntry
    begins: dict[str, ColumnMark]
    num_frames: int = 0
    last_index: int = -1
    last_seconds: float = -np.inf
    has_tracks: bool = False


class ShardWriter:
    """Context manager that writes a shard when the block ends normally.

        with ShardWriter("shards/mine/shard-000000.zarr.zip", "my detector 1.0") as writer:
            writer.add_video("film", "film.mp4", ((0, 0.0, detections), (1, 0.04, others)))

    `add_video` adds a whole video; alternatively, `add` adds frames in order between `begin_video`
    and `end_video`. `fail` records a video that cannot be decoded, and discards its frames. If the
    block raises, nothing is written.

    Args:
        path: file of the shard, which is replaced if it exists; `shard-*.zarr.zip` in a folder of
            shards.
        detector: the detector, or a name that identifies it with its weights and settings.
        score_kind: kind of class scores of all frames: `softmax`, `sigmoid`, or `label` if only the
            score of the predicted class is known.
        class_names: names of the classes, if the detector is given by name.
    """

    def __init__(
        self,
        path: str | Path,
        detector: DetectorEntry | str,
        score_kind: ScoreKind = "softmax",
        *,
        class_names: Sequence[str] = COCO_CLASSES,
    ) -> None:
        self._path = Path(path)
        if isinstance(detector, str):
            detector = DetectorEntry(
                config_name=detector,
                config_digest="unknown",
                checkpoint_digest="unknown",
                class_names=tuple(class_names),
            )
        if score_kind not in get_args(ScoreKind):
            kinds = ", ".join(get_args(ScoreKind))
            raise ShapeError(f"{path}: expected a score_kind of {kinds}, got {score_kind!r}")
        self._detector = detector
        self.rules = ClassRules(num_classes=len(detector.class_names), score_kind=score_kind)
        """Rules for labels and scores."""
        specs = arrays_of(score_kind, len(detector.class_names), has_tracks=True)
        self._columns = {name: Column(spec) for name, spec in specs.items()}
        for name in ("frame_offsets", "rle_offsets"):
            self._columns[name].add([0])
        self.videos: list[VideoEntry] = []
        """Finished videos."""
        self.failed: list[FailedVideo] = []
        """Videos that could not be decoded."""
        self.left_out: list[LeftOut] = []
        """Objects that were not imported."""
        self._open: _OpenVideo | None = None
        self._has_tracks = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        """Write the file, unless the block raised.

        Raises:
            ShapeError: if a video is still open.
            PipelineError: if the file cannot be written.
        """
        if error_type is not None:
            return
        if self._open is not None:
            what = f"end_video() was not called for video {self._open.entry.id!r}"
            raise ShapeError(f"{self._path}: {what}; nothing was written")
        attributes = ShardAttributes(
            score_kind=self.rules.score_kind,
            detector=self._detector,
            videos=tuple(self.videos),
            failed=tuple(self.failed),
            left_out=tuple(self.left_out),
            has_tracks=self._has_tracks,
        )
        columns = {name: self._columns[name] for name in attributes.arrays}
        with replacing(self._path) as temporary:
            write_group(temporary, columns=columns, attributes=attributes.to_json())

    @property
    def open_id(self) -> str | None:
        """Id of the open video, or None."""
        return None if self._open is None else self._open.entry.id

    def add_video(
        self,
        video_id: str,
        source: str | Path,
        frames: Iterable[tuple[int, float, FrameDetections]],
        *,
        rate: float | None = None,
        grid: tuple[int, int] | None = None,
    ) -> None:
        """Add a video with the detections of its frames, which are consumed lazily.

        After an exception, call `fail` before the next video.

        Args:
            video_id: id of the video in the data set's manifest.
            source: file or folder of JPEGs. Its digest is recorded, and training joins the
                detections only to frames with the same content.
            frames: index in the decoded stream (from 0), time in seconds and detections of each
                processed frame, in order.
            rate: frames per second of a folder of JPEGs.
            grid: (height, width) of the grid of boxes and masks; the upright frame by default.

        Raises:
            ShapeError: see `begin_video` and `add`; also if detections violate
                `orn.shared.masks.validate`.
            VideoDecodeError: if the source cannot be decoded.
        """
        path = Path(source)
        info, num_bytes = probe(path, rate=rate), content_bytes(path)
        entry = VideoEntry.of(video_id, info, num_bytes=num_bytes, digest=content_digest(path))
        height, width = grid or (entry.height, entry.width)
        self.begin_video(replace(entry, height=height, width=width))
        for frame in frames:
            match frame:
                case (Integral() as index, Real() as seconds, FrameDetections() as detections):
                    self.check(int(index), detections)
                    self.add(int(index), float(seconds), detections)
                case _:
                    parts = frame if isinstance(frame, tuple | list) else [frame]
                    raise ShapeError(
                        f"{self._path}: video {video_id!r}: expected (index, seconds, "
                        "FrameDetections) for each frame, got "
                        f"({', '.join(type(part).__name__ for part in parts)})"
                    )
        self.end_video()

    def begin_video(self, video: VideoEntry) -> None:
        """Start a video or a range of a video; its `frames` are counted here.

        Raises:
            ShapeError: if a video is already open or the shard already contains this video.
        """
        if self._open is not None:
            other = self._open.entry.id
            raise ShapeError(f"{self._path}: video {video.id!r} was begun before {other!r} ended")
        self._check_new(video.id)
        begins = {name: column.mark() for name, column in self._columns.items()}
        self._open = _OpenVideo(entry=video, begins=begins)

    def add(self, frame_index: int, seconds: float, detections: FrameDetections) -> None:
        """Add the detections, possibly none, of the next frame of the open video.

        Args:
            frame_index: index of the frame in the decoded stream, increasing from 0.
            seconds: presentation time, increasing.
            detections: detections in pixels of the video's grid.

        Raises:
            ShapeError: if no video is open, the order or the grid is wrong, or labels or class
                scores do not match the shard.
        """
        video = self._open
        if video is None:
            raise ShapeError(f"{self._path}: frame {frame_index} added without an open video")
        self._check_frame(video, frame_index, seconds=seconds, detections=detections)
        video.num_frames += 1
        video.last_index, video.last_seconds = frame_index, seconds
        columns = self._columns
        columns["frame_video"].add([len(self.videos)])
        columns["frame_index"].add([frame_index])
        columns["frame_seconds"].add([seconds])
        columns["boxes"].add(detections.boxes)
        columns["scores"].add(detections.scores)
        columns["labels"].add(detections.labels)
        if detections.class_scores is not None:
            columns["class_scores"].add(detections.class_scores)
        if (tracks := detections.tracks) is None:
            tracks = np.full(len(detections), -1)
        video.has_tracks |= bool((tracks >= 0).any())
        columns["tracks"].add(tracks)
        columns["frame_offsets"].add([len(columns["boxes"])])
        ends = np.cumsum([len(mask) for mask in detections.masks], dtype=np.int64)
        columns["rle_offsets"].add(len(columns["rle"]) + ends)
        columns["rle"].add(np.frombuffer(b"".join(detections.masks), dtype=np.uint8))

    def end_video(self) -> None:
        """End the open video, which may have no frames.

        Raises:
            ShapeError: if no video is open.
        """
        if self._open is None:
            raise ShapeError(f"{self._path}: end_video() called without an open video")
        self.videos.append(replace(self._open.entry, frames=self._open.num_frames))
        self._has_tracks |= self._open.has_tracks
        self._open = None

    def fail(self, video_id: str, reason: str) -> None:
        """Record a video that could not be decoded, and discard its frames if it is open.

        Raises:
            ShapeError: if the shard already contains this video, or a different video is open.
        """
        if self._open is not None and self._open.entry.id == video_id:
            for name, mark in self._open.begins.items():
                self._columns[name].restore(mark)
            self._open = None
        if self._open is not None:
            other = self._open.entry.id
            raise ShapeError(f"{self._path}: video {video_id!r} failed while {other!r} is open")
        self._check_new(video_id)
        self.failed.append(FailedVideo(id=video_id, reason=reason))

    def check(self, frame_index: int, detections: FrameDetections) -> None:
        """Check a frame of the open video against `orn.shared.masks.validate`.

        Raises:
            ShapeError: if a number or a mask is invalid.
        """
        if fault := first_fault(detections, self.rules):
            raise self._invalid(frame_index, fault)

    def _invalid(self, frame_index: int, what: str) -> ShapeError:
        """Return the error for a frame of the open video."""
        where = f"{self._path}: video {self.open_id!r}"
        return ShapeError(f"frame {frame_index}: {what}", where=where)

    def _check_frame(
        self, video: _OpenVideo, frame_index: int, *, seconds: float, detections: FrameDetections
    ) -> None:
        if frame_index <= video.last_index:
            raise self._invalid(frame_index, f"expected an index above {video.last_index}")
        if not (video.last_seconds < seconds and abs(seconds) <= MOST_SECONDS):
            after = f"a time after {video.last_seconds} s"
            raise self._invalid(frame_index, f"expected {after}, got {seconds} s")
        grid = (video.entry.height, video.entry.width)
        if (detections.height, detections.width) != grid:
            raise self._invalid(
                frame_index,
                f"expected detections on a grid of {grid[0]} x {grid[1]}, got "
                f"{detections.height} x {detections.width}; specify it with add_video(grid=...)",
            )
        num_classes, score_kind = self.rules.num_classes, self.rules.score_kind
        scores_NC = detections.class_scores
        given = None if scores_NC is None else scores_NC.shape[1]
        expected = None if score_kind == "label" else num_classes
        if given != expected:
            raise self._invalid(
                frame_index,
                f"expected class scores of {expected} classes, got {given}; a shard without class "
                'scores requires ShardWriter(..., score_kind="label")',
            )
        if detections.labels.max(initial=0) >= num_classes:
            got = detections.labels.max()
            raise self._invalid(frame_index, f"expected labels of {num_classes} classes, got {got}")

    def _check_new(self, video_id: str) -> None:
        if not isinstance(video_id, str) or not video_id:
            raise ShapeError(f"{self._path}: expected a str as video id, got {video_id!r}")
        known = {video.id for video in self.videos} | {video.id for video in self.failed}
        if video_id in known:
            raise ShapeError(f"{self._path}: video {video_id!r} is already in the shard")


class Column:
    """The rows of an array; `len()` is their number.

    Args:
        spec: specification of the array.
        chunk_bytes: size of a chunk before compression; a larger row is a chunk by itself.
    """

    def __init__(self, spec: ArraySpec, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.spec = spec
        row_bytes = spec.dtype.itemsize * int(np.prod(spec.row))
        self._full = max(1, chunk_bytes // row_bytes)
        self._chunks: list[bytes] = []
        self._open = np.zeros((self._full, *spec.row), dtype=spec.dtype)
        self._num_open = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._chunks) * self._full + self._num_open

    @property
    def rows_per_chunk(self) -> int:
        """Number of rows in a chunk: the whole array if it fits into one chunk, at least 1."""
        return self._full if self._chunks else max(1, self._num_open)

    def add(self, rows: ArrayLike) -> None:
        """Append (n, *row) rows of a compatible type."""
        values = np.asarray(rows, dtype=self.spec.dtype)
        while len(values):
            taken = min(len(values), self._full - self._num_open)
            self._open[self._num_open : self._num_open + taken] = values[:taken]
            self._num_open += taken
            values = values[taken:]
            if self._num_open == self._full:
                self._chunks.append(_encoded(self._open))
                self._num_open = 0

    def mark(self) -> ColumnMark:
        """Return the current state, for `restore`."""
        return len(self._chunks), self._open[: self._num_open].copy()

    def restore(self, mark: ColumnMark) -> None:
        """Remove the rows added since a mark."""
        num_chunks, open_rows = mark
        del self._chunks[num_chunks:]
        self._num_open = len(open_rows)
        self._open[: self._num_open] = open_rows

    def chunks(self) -> list[bytes]:
        """Return all encoded chunks; the last is padded with zeros to `rows_per_chunk`."""
        if not self._num_open:
            return list(self._chunks)
        last = np.zeros((self.rows_per_chunk, *self.spec.row), dtype=self.spec.dtype)
        last[: self._num_open] = self._open[: self._num_open]
        return [*self._chunks, _encoded(last)]


def _encoded(rows: NDArray[Any]) -> bytes:
    """Encode a chunk: little-endian numbers -> zstd -> checksum."""
    body = bytes(Zstd(level=ZSTD_LEVEL).encode(rows))
    return body + google_crc32c.value(body).to_bytes(CHECKSUM_BYTES, "little")


def write_group(
    path: Path, *, columns: Mapping[str, Column], attributes: Mapping[str, Any]
) -> None:
    """Write a Zarr group. The output is deterministic.

    Args:
        path: the file.
        columns: arrays by name, chunked along the first axis.
        attributes: JSON attributes of the group.
    """
    documents: dict[str, Any] = {}
    chunks: dict[str, bytes] = {}
    group = zarr.create_group(MemoryStore(documents), attributes=dict(attributes))
    for name, column in columns.items():
        row = column.spec.row
        group.create_array(
            name,
            shape=(len(column), *row),
            dtype=column.spec.dtype,
            chunks=(column.rows_per_chunk, *row),
            compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
            dimension_names=column.spec.axes,
        )
        # Chunks of zeros are stored as well, so that a missing chunk is not read as zeros.
        for index, chunk in enumerate(column.chunks()):
            chunks[member_name(name, index, column.spec)] = chunk
    # Documents precede the ZIP directory, so that opening needs a single read.
    write_members(path, chunks | {key: text.to_bytes() for key, text in documents.items()})


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a ZIP file of uncompressed members in order. The output is deterministic."""
    with zipfile.ZipFile(path, mode="w", compression=zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=_TIME)
            info.external_attr = 0o600 << 16
            file.writestr(info, content)
