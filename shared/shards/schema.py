"""The shard format, version 1: names, types and axes of the arrays, and the group's attributes.

A shard is one Zarr v3 group (https://zarr-specs.readthedocs.io/en/latest/v3/core/) in a ZIP file
whose members are stored. Its arrays are ragged and flat, little-endian, in chunks along the first
axis, each chunk compressed with zstd and closed by its crc32c. Attributes are plain JSON.

F frames in the shard, N detections, S = 80 COCO classes, R bytes of compressed run lengths.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from orn.shared.config.fields import Positive, explain
from orn.shared.errors import ShardFormatError
from orn.shared.jobs.plan import FailedVideo as FailedVideo
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.video.frame import VideoInfo

FORMAT_NAME = "object-detections"
FORMAT_VERSION = 1

MOST_ROWS = {"frames": 2**22, "detections": 2**24, "bytes": 2**32}
"""What a shard may claim to have of each; a unit of 2,000 frames has about a thousandth of it."""

READ_STRICTLY = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""Of records that pydantic reads from JSON: a key that this release does not know is an error."""

_MOST_PIXELS = 2**28
_Side = Annotated[int, Field(ge=1, lt=2**16)]
_Number = Annotated[int, Field(ge=0, lt=2**63)]

UNKNOWN_SOURCE = "unknown"
"""Digest of the source of masks that were imported while the video was not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """What one array of a shard holds."""

    dtype: np.dtype[Any]
    """Little-endian type of an element."""
    row: tuple[int, ...] = ()
    """Shape of one row: the axes after the first."""
    axes: tuple[str, ...]
    """Name of each axis, as written to the file."""
    counts: str
    """What the first axis counts: `frames`, `detections`, `bytes`, or one of these `+ 1`."""


ARRAYS: dict[str, ArraySpec] = {
    # index into the attribute `videos`
    "frame_video": ArraySpec(dtype=np.dtype("<i4"), axes=("frame",), counts="frames"),
    # place in the decoded stream, from 0; of imported masks, among the frames of their own rate
    "frame_index": ArraySpec(dtype=np.dtype("<i8"), axes=("frame",), counts="frames"),
    # presentation time in seconds
    "frame_seconds": ArraySpec(dtype=np.dtype("<f8"), axes=("frame",), counts="frames"),
    # detections of frame f are [offsets[f], offsets[f + 1])
    "frame_offsets": ArraySpec(dtype=np.dtype("<i8"), axes=("frame_border",), counts="frames + 1"),
    # x1 y1 x2 y2, half-open, pixels of the video's grid
    "boxes": ArraySpec(
        dtype=np.dtype("<f4"), row=(4,), axes=("detection", "xyxy"), counts="detections"
    ),
    # score of the kept class, and that class
    "scores": ArraySpec(dtype=np.dtype("<f4"), axes=("detection",), counts="detections"),
    "labels": ArraySpec(dtype=np.dtype("u1"), axes=("detection",), counts="detections"),
    # softmax over the classes; background = 1 - sum; absent if the attribute class_scores is false
    "class_scores": ArraySpec(
        dtype=np.dtype("<f2"),
        row=(NUM_COCO_CLASSES,),
        axes=("detection", "class"),
        counts="detections",
    ),
    # mask of detection n is bytes [offsets[n], offsets[n + 1]) of rle: COCO compressed run lengths
    "rle_offsets": ArraySpec(
        dtype=np.dtype("<i8"), axes=("detection_border",), counts="detections + 1"
    ),
    "rle": ArraySpec(dtype=np.dtype("u1"), axes=("byte",), counts="bytes"),
}


def arrays_of(*, class_scores: bool) -> dict[str, ArraySpec]:
    """The arrays of a shard, with class scores or without."""
    return {name: spec for name, spec in ARRAYS.items() if class_scores or name != "class_scores"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEntry:
    """A video, or a range of its frames, that a shard has detections of."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    id: str
    """Id in the data set's manifest."""
    height: _Side
    """Rows of the grid that boxes and masks use."""
    width: _Side
    """Columns of that grid."""
    frames: _Number
    """How many frames of it the shard holds."""
    header_frames: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None
    """Frames in all as the file's header has it, which may be wrong; None where it is silent."""
    rate: Positive
    """Frames a second."""
    source_bytes: _Number
    """Size of the file, or of all files of a frame folder; 0 where the digest is not known."""
    source_digest: str
    """`sha256:...` of the content, or `UNKNOWN_SOURCE`."""
    sample_aspect: str | None = None
    """Width : height of a pixel of the upright frame, as in `16:9`; None where it is not told."""

    @classmethod
    def of(cls, video_id: str, info: VideoInfo, *, num_bytes: int, digest: str) -> Self:
        """Return the entry of a video on the grid of its frames, of which none is counted yet.

        Args:
            video_id: its id.
            info: what the video says of itself.
            num_bytes: as `source_bytes`.
            digest: as `source_digest`.
        """
        aspect = info.sample_aspect
        return cls(
            id=video_id,
            height=info.height,
            width=info.width,
            frames=0,
            header_frames=info.header_frames,
            rate=info.rate,
            source_bytes=num_bytes,
            source_digest=digest,
            sample_aspect=f"{aspect.numerator}:{aspect.denominator}" if aspect else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorEntry:
    """What the detections were made with; equal entries mean comparable detections."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    config_name: str
    """Name of the detector's config."""
    config_digest: str
    """`sha256:...` of the resolved config; of imported masks, of the list of their files."""
    checkpoint_digest: str
    """`sha256:...` of the weights' file; of imported masks, `unknown`."""
    precision: str = "float32"
    """Number format that the backbone computed in: `float32`, `tfloat32` (fewer bits on a GPU),
    `float16` or `bfloat16`; with `-heads` the layers that look at single objects, too."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Thresholds by name, such as `score`."""
    versions: dict[str, str] = field(default_factory=dict)
    """Library versions by name."""
    class_names: tuple[str, ...]
    """Name of each class, in the order of labels and class scores."""

    @property
    def title(self) -> str:
        """Config and weights in a line, for people."""
        return f"{self.config_name} {self.checkpoint_digest}"


def _with_grid(video: VideoEntry) -> VideoEntry:
    if video.height * video.width > _MOST_PIXELS:
        found = f"{video.height} x {video.width}"
        raise ValueError(f"wanted a grid of at most {_MOST_PIXELS:,} pixels, found {found}")
    return video


def _with_classes(detector: DetectorEntry) -> DetectorEntry:
    if len(detector.class_names) != NUM_COCO_CLASSES:
        found = len(detector.class_names)
        raise ValueError(f"wanted {NUM_COCO_CLASSES} class names, found {found}")
    return detector


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardAttributes:
    """The group's attributes."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    videos: tuple[Annotated[VideoEntry, AfterValidator(_with_grid)], ...]
    """What `frame_video` points into; ids are unique."""
    failed: tuple[FailedVideo, ...]
    """Videos of the unit that gave nothing."""
    detector: Annotated[DetectorEntry, AfterValidator(_with_classes)]
    """What the detections were made with."""
    class_scores: bool
    """Whether the array `class_scores` is there."""

    def to_json(self) -> dict[str, Any]:
        """The attributes as they are written, format and version first."""
        detector = asdict(self.detector)
        class_names = detector.pop("class_names")
        return {
            "format": FORMAT_NAME,
            "format_version": FORMAT_VERSION,
            "class_scores": self.class_scores,
            "class_names": list(class_names),
            "detector": detector,
            "videos": [asdict(video) for video in self.videos],
            "failed": [asdict(video) for video in self.failed],
        }

    @classmethod
    def from_json(cls, attributes: Mapping[str, Any], *, source: str) -> "ShardAttributes":
        """The attributes as read; format and version are checked before anything else.

        Args:
            attributes: the group's attributes.
            source: the shard's path, for messages.

        Raises:
            ShardFormatError: if it is no shard, of another version, or an attribute is missing.
        """
        if attributes.get("format") != FORMAT_NAME:
            raise ShardFormatError(
                f"{source}: wanted format {FORMAT_NAME!r}, found {attributes.get('format')!r}; "
                "this is no shard of detections"
            )
        if attributes.get("format_version") != FORMAT_VERSION:
            raise ShardFormatError(
                f"{source}: wanted format version {FORMAT_VERSION}, found "
                f"{attributes.get('format_version')!r}; read it with the release that wrote it"
            )
        # Class names stand beside the detector that they belong to.
        record = {name: attributes[name] for name in _ATTRIBUTES if name in attributes}
        names = {name: attributes[name] for name in ("class_names",) if name in attributes}
        detector = record.get("detector")
        if isinstance(detector, dict):
            record["detector"] = {k: v for k, v in detector.items() if k not in names} | names
        try:
            return _FROM_JSON.validate_json(json.dumps(record))
        except ValidationError as err:
            why = explain(err, cls)
        except RecursionError:
            why = "nested too deeply"
        raise ShardFormatError(
            f"{source}: attributes do not follow format version {FORMAT_VERSION} ({why})"
        )


_FROM_JSON = TypeAdapter(ShardAttributes)
_ATTRIBUTES = tuple(each.name for each in fields(ShardAttributes))
