"""The shard format, version 2: names, types and axes of the arrays, and the group's attributes.

A shard is one Zarr v3 group (https://zarr-specs.readthedocs.io/en/latest/v3/core/) in a ZIP file
whose members are stored. Its arrays are ragged and flat, little-endian, in chunks along the first
axis, each chunk compressed with zstd and closed by its crc32c. Attributes are plain JSON.

F frames in the shard, N detections, C classes of the detector, R bytes of compressed run lengths.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from orn.shared.config.bounded import parse_json
from orn.shared.config.fields import STRICT, Positive, described, explain
from orn.shared.errors import ShardFormatError
from orn.shared.jobs.plan import FailedVideo
from orn.shared.masks.rules import ClassRules, ScoreKind
from orn.shared.video.frame import VideoInfo

FORMAT_NAME = "object-detections"
FORMAT_VERSION = 2

MOST_CLASSES = 2**16

_Side = Annotated[int, Field(ge=1, le=2**14)]
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


def _array(dtype: str, counts: str, *axes: str, row: tuple[int, ...] = ()) -> ArraySpec:
    return ArraySpec(dtype=np.dtype(dtype), row=row, axes=axes, counts=counts)


@lru_cache(maxsize=8)
def arrays_of(
    score_kind: ScoreKind, num_classes: int, *, has_tracks: bool = False
) -> Mapping[str, ArraySpec]:
    """Return the arrays of a shard by name."""
    arrays = {
        # index into the attribute `videos`
        "frame_video": _array("<i4", "frames", "frame"),
        # place in the decoded stream, from 0; of imported masks, among frames of their own rate
        "frame_index": _array("<i8", "frames", "frame"),
        # presentation time in seconds
        "frame_seconds": _array("<f8", "frames", "frame"),
        # detections of frame f are [offsets[f], offsets[f + 1])
        "frame_offsets": _array("<i8", "frames + 1", "frame_border"),
        # mask of detection n is bytes [offsets[n], offsets[n + 1]) of rle: COCO run lengths
        "rle_offsets": _array("<i8", "detections + 1", "detection_border"),
        # x1 y1 x2 y2, half-open, pixels of the video's grid
        "boxes": _array("<f4", "detections", "detection", "xyxy", row=(4,)),
        # score of the kept class, and that class
        "scores": _array("<f4", "detections", "detection"),
        "labels": _array("<u2", "detections", "detection"),
        # softmax (background = 1 - sum) or sigmoid; absent where score_kind is label
        "class_scores": _array("<f2", "detections", "detection", "class", row=(num_classes,)),
        # which object of the video it is; absent where that is not known
        "tracks": _array("<i4", "detections", "detection"),
        "rle": _array("u1", "bytes", "byte"),
    }
    if score_kind == "label":
        del arrays["class_scores"]
    if not has_tracks:
        del arrays["tracks"]
    return arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEntry:
    """A video, or a range of its frames, that a shard has detections of."""

    __pydantic_config__: ClassVar = STRICT

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

    __pydantic_config__: ClassVar = STRICT

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
    frame_rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second of a video that it looked at, those nearest in time; None: every frame."""
    class_names: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    """Name of each class, in the order of labels and class scores."""

    @property
    def title(self) -> str:
        """Config and weights in a line, for people."""
        return f"{self.config_name} {self.checkpoint_digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Objects of a source that were not imported."""

    __pydantic_config__: ClassVar = STRICT

    id: str
    """Of the video."""
    reason: str
    number: _Number
    """How many objects there are."""
    first: str
    """Which one is the first, for a person."""


def _each_once(videos: tuple[VideoEntry, ...]) -> tuple[VideoEntry, ...]:
    if len({video.id for video in videos}) < len(videos):
        raise ValueError("expected each video once, got one twice")
    return videos


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardAttributes:
    """The group's attributes, beside format and version; others are ignored."""

    __pydantic_config__: ClassVar = STRICT | ConfigDict(extra="ignore")

    score_kind: ScoreKind
    """What the scores of detections are; whether there is an array of them by class."""
    detector: DetectorEntry
    """What the detections were made with."""
    videos: Annotated[tuple[VideoEntry, ...], AfterValidator(_each_once)]
    """What `frame_video` points into; ids are unique."""
    failed: tuple[FailedVideo, ...]
    """Videos of the unit that gave nothing."""
    left_out: tuple[LeftOut, ...] = ()
    """What an import left out of videos that are there."""
    has_tracks: bool = False
    """Whether it is known which detections of a video are of one object."""

    @property
    def rules(self) -> ClassRules:
        """What its labels and scores have to be."""
        return ClassRules(num_classes=len(self.detector.class_names), score_kind=self.score_kind)

    @property
    def arrays(self) -> Mapping[str, ArraySpec]:
        """The arrays of the shard by name."""
        num_classes = len(self.detector.class_names)
        return arrays_of(self.score_kind, num_classes, has_tracks=self.has_tracks)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as they are written, format and version first."""
        return {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The `zarr.json` of a shard."""

    __pydantic_config__: ClassVar = STRICT | ConfigDict(extra="ignore")

    zarr_format: Literal[3]
    node_type: Literal["group"]
    attributes: ShardAttributes


_GROUP = TypeAdapter(_Group)


def read_attributes(text: bytes, *, source: str) -> ShardAttributes:
    """Return the attributes in a group's `zarr.json`; format and version are checked first.

    Args:
        text: the document.
        source: the shard's path, for messages.

    Raises:
        ShardFormatError: if the group is not a shard of this version.
    """
    document = parse_json(text, source=f"{source}: zarr.json", error=ShardFormatError)
    found = document.get("attributes") if isinstance(document, dict) else None
    found = found if isinstance(found, dict) else {}
    if found.get("format") != FORMAT_NAME:
        raise ShardFormatError(
            f"{source}: expected format {FORMAT_NAME!r}, got {described(found.get('format'))}; "
            "this is not a shard of detections"
        )
    if found.get("format_version") != FORMAT_VERSION:
        raise ShardFormatError(
            f"{source}: expected format version {FORMAT_VERSION}, got "
            f"{described(found.get('format_version'))}; detect or import again with --fresh"
        )
    try:
        return _GROUP.validate_json(text).attributes
    except ValidationError as err:
        raise ShardFormatError(
            f"{source}: zarr.json does not follow format version {FORMAT_VERSION} "
            f"({explain(err, _Group)})"
        ) from err
