"""Records of imported videos, frames and objects, common to all formats.

A format yields the frames in a file: those of one video (`SourceFrame`), or records of many videos
(`SourceRecord`), which a table sorts.

Axes: N objects of a frame.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from orn.shared.data_files import file_digest, not_a_file
from orn.shared.errors import ObjectImportError, ShapeError
from orn.shared.masks import rle
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections, clip_boxes, masks_of_boxes
from orn.shared.masks.validate import ClassRules, first_fault
from orn.shared.shards.shard import MOST_FRAME_DETECTIONS, MOST_FRAME_MASK_BYTES
from orn.stage1_detect.imports.polygons import fill_polygons

GRID = 100
"""Height and width of released masks, regardless of the size of the video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceObject:
    """An object in a frame, in pixels of the frame's grid."""

    name: str
    """Name of the class."""
    score: float = 1.0
    box: Sequence[float] | None
    """x1 y1 x2 y2; None for the bounding box of the mask."""
    mask: bytes | None = None
    """Run-length encoding over the whole grid; None for a filled box."""
    is_crowd: bool = False
    """Whether this is marked as a group of objects in one mask."""
    track: int = -1
    """Number of the object in the video, the same in all frames; -1 for none."""
    fractions: Sequence[float] | None = None
    """x1 y1 x2 y2 of a box, or x and y of each corner of a polygon, as fractions of the frame's
    width and height, in place of `box` and `mask`."""

    def in_pixels(self, grid: tuple[int, int]) -> Self:
        """Return the object with its box or mask in pixels of a (height, width) grid.

        Raises:
            ValueError: if its polygon is too large.
        """
        if self.fractions is None:
            return self
        height, width = grid
        corners_P2 = np.reshape(self.fractions, (-1, 2)) * (width, height)
        corners = corners_P2.reshape(-1).tolist()
        if len(corners) == 4:
            return replace(self, box=corners, fractions=None)
        return replace(self, mask=fill_polygons([corners], height, width), fractions=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """A frame of a video in a file with records, with one of its objects."""

    video_id: str
    """Id in the source."""
    frame: int | None = None
    """Number of the frame, if it has no time."""
    seconds: float | None = None
    """Time of the frame; given for all frames in a file, or for none."""
    grid: tuple[int, int] | None = None
    """(height, width) of the pixels of boxes and masks, equal for all frames of a video."""
    content: SourceObject | ObjectImportError | None = None
    """An object, or why it is invalid, so that its video fails alone; None for the frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFrame:
    """The objects in a frame."""

    position: float
    """Number of the frame, from 0, or its time in seconds; increasing."""
    detections: FrameDetections
    left_out: Sequence[tuple[str, str]] = ()
    """Reason and description for each dropped object."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceVideo:
    """A video with objects in a source."""

    id: str
    """Id in the source."""
    path: Path
    """File with the objects of the video."""
    num_frames: int = 0
    """Number of its frames in the table."""
    read: Callable[[Path], Iterator[SourceFrame]] | None = None
    """Reads the file, which has the masks of this video alone, with frames of their own; None if
    the objects are in an `ObjectTable`, and their frames are frames of the video."""
    rate: float | None = None
    """Frame rate of masks with frames of their own, in Hz."""
    file: int = 0
    """Number of the file in the table."""
    first: int = 0
    """Number of the video's first frame in the source."""
    by_time: bool = False
    """Whether frames are given by their times."""
    grid: tuple[int, int] | None = None
    """(height, width) of the pixels of boxes and masks; None for the size of the video's
    frames."""
    digest: str | None = None
    """Digest of its records; None for the digest of the file, which has no other video."""

    def content_digest(self) -> str:
        """Return the digest of its objects; empty for a file that cannot be read, whose video
        fails."""
        try:
            return self.digest or file_digest(self.path, error=ObjectImportError)
        except ObjectImportError:
            return ""

    def has_changed(self, recorded: str | None, since_ns: int) -> bool:
        """Return whether its objects no longer have the digest that was recorded before a time in
        nanoseconds; None matches any objects."""
        if self.digest is None and self.path.exists():
            recorded = None if self.path.stat().st_mtime_ns <= since_ns else recorded
        return recorded is not None and self.content_digest() != recorded

    @property
    def num_bytes(self) -> int:
        """Size of its file; 0 if this is not a regular file."""
        return 0 if not_a_file(self.path) else self.path.stat().st_size

    def __str__(self) -> str:
        """Return the file and the id of the video in it."""
        return str(self.path) if self.read else f"{self.path}: {self.id}"

    def at(self, position: float) -> str:
        """Return a description of a frame for messages."""
        return f"{position:g} s" if self.by_time else f"frame {position + self.first:g}"


def frame_of(
    what: str,
    position: float,
    objects: Iterable[SourceObject],
    *,
    grid: tuple[int, int],
    labels: Mapping[str, int],
    groups: bool = False,
) -> SourceFrame:
    """Return a frame without objects outside it and unknown classes; boxes are clipped.

    Args:
        what: description of the frame, for messages.
        position: number or time of the frame.
        objects: objects of the source.
        grid: (height, width) of the frame.
        labels: class index by name.
        groups: whether to keep groups.
    """
    height, width = grid
    left_out: list[tuple[str, str]] = []
    kept: list[SourceObject] = []
    boxes: list[Sequence[float]] = []
    for found in objects:
        try:
            candidate = found.in_pixels(grid)
        except ValueError as err:
            raise ObjectImportError(f"polygon: {err}; correct the file", where=what) from err
        box = candidate.box or rle.bounding_box(candidate.mask or b"", height).tolist()
        if candidate.name not in labels:
            left_out.append(("unknown class", repr(candidate.name)))
        elif candidate.is_crowd and not groups:
            left_out.append(("group of objects (iscrowd); see --groups", repr(candidate.name)))
        elif box[2] <= 0 or box[3] <= 0 or box[0] >= width or box[1] >= height:
            left_out.append(("outside of the frame", f"{box} of {width} x {height}"))
        else:
            kept.append(candidate)
            boxes.append(box)
    boxes_N4 = np.array(boxes, np.float32).reshape(-1, 4)
    boxes_N4 = clip_boxes(boxes_N4, height=height, width=width)
    is_box_N = np.array([not candidate.mask for candidate in kept], np.bool_)
    filled = iter(masks_of_boxes(boxes_N4[is_box_N], height=height, width=width))
    detections = detections_of(
        what,
        grid=grid,
        boxes=boxes_N4,
        labels=[labels[candidate.name] for candidate in kept],
        scores=[candidate.score for candidate in kept],
        masks=tuple(candidate.mask or next(filled) for candidate in kept),
        num_classes=1 + max(labels.values(), default=0),
        tracks=[candidate.track for candidate in kept],
    )
    return SourceFrame(position=position, detections=detections, left_out=left_out)


def detections_of(
    what: str,
    *,
    grid: tuple[int, int],
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike,
    masks: tuple[bytes, ...],
    num_classes: int = NUM_COCO_CLASSES,
    tracks: ArrayLike | None = None,
) -> FrameDetections:
    """Return the detections of one frame after checking them against the limits of a shard and the
    rules of `orn verify`.

    Args:
        what: description of the frame, for messages.
        grid: (height, width).
        boxes: (N, 4) x1 y1 x2 y2 in pixels of the grid.
        scores: (N,) 0..1.
        labels: (N,) class indices.
        masks: N run-length encodings.
        num_classes: number of classes.
        tracks: (N,) numbers of the objects in the video, or -1.

    Raises:
        ObjectImportError: if there are too many objects, masks are too large, or an object is
            invalid.
    """
    largest, size = max(map(len, masks), default=0), sum(map(len, masks))
    most_bytes = 4 * (grid[0] * grid[1] + 1)  # the limit if each pixel were a run
    if len(masks) > MOST_FRAME_DETECTIONS or size > MOST_FRAME_MASK_BYTES or largest > most_bytes:
        raise ObjectImportError(
            f"expected at most {MOST_FRAME_DETECTIONS:,} objects, masks of at most "
            f"{most_bytes:,} bytes and {MOST_FRAME_MASK_BYTES:,} in total, got {len(masks):,} "
            f"objects, {largest:,} and {size:,} bytes; remove some",
            where=what,
        )
    try:
        detections = FrameDetections(
            height=grid[0],
            width=grid[1],
            boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
            scores=np.asarray(scores, np.float32),
            labels=np.asarray(labels, np.uint16),
            class_scores=None,
            masks=masks,
            tracks=None if tracks is None else np.asarray(tracks, np.int64),
        )
    except ShapeError as err:
        raise ObjectImportError(err.reason, where=what) from err
    rules = ClassRules(num_classes=num_classes, score_kind="label")
    if fault := first_fault(detections, rules):
        raise ObjectImportError(fault, where=what)
    return detections
