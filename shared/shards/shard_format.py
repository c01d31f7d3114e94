"""The shard format, version 2: names, types and axes of arrays, and attributes of the group.

A shard is a Zarr v3 group (https://zarr-specs.readthedocs.io/en/latest/v3/core/) in a ZIP file
with uncompressed members. Its ragged arrays are flattened, little-endian and chunked along the
first axis; each chunk is compressed with zstd and ends with its crc32c. Attributes are JSON.

F frames in the shard, N detections, C classes of the detector, R bytes of compressed run lengths.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from orn.shared.config.fields import STRICT, Positive, described, problems_of
from orn.shared.data_files import json_digest, parse_json
from orn.shared.errors import ShardFormatError, VideoDecodeError
from orn.shared.jobs.plan import FailedVideo, OutputFolder
from orn.shared.masks.validate import ClassRules, ScoreKind
from orn.shared.video.frame import VideoInfo

INDEX_NAME = "shards.index.json"
SHARD_FILES = OutputFolder(
    command="orn detect or orn import-objects",
    stem="shard",
    suffix=".zarr.zip",
    index=INDEX_NAME,
)
shard_path = SHARD_FILES.path
"""Returns the path of a shard by folder and number of the unit."""


FORMAT_NAME = "object-detections"
FORMAT_VERSION = 2

MOST_CLASSES = 2**16

MOST_SIDE = 2**13
"""Maximum height and width of a grid in pixels."""
_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
_Number = Annotated[int, Field(ge=0, lt=2**63)]

UNKNOWN_SOURCE = "unknown"
"""Source digest for masks that were imported without the video."""
_IMPORTED = "imported objects, format "
"""Beginning of the `config_name` of objects that come from no detector."""
_OF_USER = "own detector "
"""Beginning of the `config_name` of a detector that is a function of the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """Specification of an array."""

    dtype: np.dtype[Any]
    """Little-endian element type."""
    row: tuple[int, ...] = ()
    """Shape of a row: the axes after the first."""
    axes: tuple[str, ...]
    """Names of axes in the file."""
    counts: str
    """Meaning of the first axis: `frames`, `detections` or `bytes`, each optionally `+ 1`."""


def _array(dtype: str, counts: str, *axes: str, row: tuple[int, ...] = ()) -> ArraySpec:
    return ArraySpec(dtype=np.dtype(dtype), row=row, axes=axes, counts=counts)


@lru_cache(maxsize=8)
def arrays_of(
    score_kind: ScoreKind, num_classes: int, *, has_tracks: bool
) -> Mapping[str, ArraySpec]:
    """Return the arrays of a shard by name."""
    arrays = {
        # index into the attribute `videos`
        "frame_video": _array("<i4", "frames", "frame"),
        # index in the decoded stream; for imported masks, at the frame rate of the masks
        "frame_index": _array("<i8", "frames", "frame"),
        # presentation time in seconds
        "frame_seconds": _array("<f8", "frames", "frame"),
        # detections of frame f are [offsets[f], offsets[f + 1])
        "frame_offsets": _array("<i8", "frames + 1", "frame_border"),
        # mask of detection n is bytes [offsets[n], offsets[n + 1]) of rle: COCO run lengths
        "rle_offsets": _array("<i8", "detections + 1", "detection_border"),
        # x1 y1 x2 y2, half-open, pixels of the video's grid
        "boxes": _array("<f4", "detections", "detection", "xyxy", row=(4,)),
        # score of the predicted class, and that class
        "scores": _array("<f4", "detections", "detection"),
        "labels": _array("<u2", "detections", "detection"),
        # softmax (background = 1 - sum) or sigmoid; absent where score_kind is label
        "class_scores": _array("<f2", "detections", "detection", "class", row=(num_classes,)),
        # equal for the same object in several frames of a video, or -1; absent if all are unknown
        "tracks": _array("<i8", "detections", "detection"),
        "rle": _array("u1", "bytes", "byte"),
    }
    if not has_tracks:
        del arrays["tracks"]
    if score_kind == "label":
        del arrays["class_scores"]
    return arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEntry:
    """A video, or a range of its frames, in a shard."""

    __pydantic_config__: ClassVar = STRICT

    id: str
    """Id in the data set's manifest."""
    height: _Side
    """Height of the grid of boxes and masks."""
    width: _Side
    """Width of the grid."""
    frames: _Number
    """Number of its frames in the shard."""
    header_frames: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None
    """Total number of frames in the header, which may be wrong; None if unknown."""
    rate: Positive
    """Frames per second."""
    source_bytes: _Number
    """Size of the file, or of all files of a frame folder; 0 if the digest is unknown."""
    source_digest: str
    """`sha256:...` of the content, or `UNKNOWN_SOURCE`."""
    sample_aspect: str | None = None
    """Pixel aspect ratio of the upright frame, such as `16:9`; None if unknown."""

    @classmethod
    def of(cls, video_id: str, info: VideoInfo, *, num_bytes: int, digest: str) -> Self:
        """Return the entry of a video on the grid of its frames, with zero frames.

        Args:
            video_id: id of the video.
            info: metadata of the video.
            num_bytes: `source_bytes`.
            digest: `source_digest`.

        Raises:
            VideoDecodeError: if a side is longer than `MOST_SIDE`.
        """
        if max(info.height, info.width) > MOST_SIDE:
            raise VideoDecodeError(
                f"expected frames with sides of at most {MOST_SIDE:,} pixels, got {info.width} x "
                f"{info.height}; rescale the video"
            )
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
    """The detector and its settings; equal entries mean comparable detections."""

    __pydantic_config__: ClassVar = STRICT

    config_name: str
    """Name of the detector's configuration."""
    config_digest: str
    """`sha256:...` of the resolved configuration; for imported masks, of the list of files."""
    checkpoint_digest: str
    """`sha256:...` of the weights file; for imported masks, `unknown`."""
    precision: str = "float32"
    """Number format of the backbone, such as `float32` or `bfloat16`."""
    batch_size: Annotated[int, Field(ge=1, lt=2**31)] = 1
    """Maximum number of frames per forward pass, which affects rounding; 1 on a CPU."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Thresholds by name, such as `score`."""
    versions: dict[str, str] = field(default_factory=dict)
    """Library versions by name."""
    frame_rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Processed frames per second (the nearest in time); None: every frame."""
    class_names: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    """Name of each class, in the order of labels and class scores."""

    @property
    def title(self) -> str:
        """Configuration and weights, on one line."""
        is_known = self.checkpoint_digest != UNKNOWN_SOURCE
        return f"{self.config_name} {self.checkpoint_digest}" if is_known else self.config_name

    @classmethod
    def imported(cls, form: str, **settings: Any) -> Self:
        """Return the entry for objects imported from a format; it has no weights."""
        unknown = {"config_digest": UNKNOWN_SOURCE, "checkpoint_digest": UNKNOWN_SOURCE}
        return cls(config_name=f"{_IMPORTED}{form}", **unknown | settings)

    @classmethod
    def of_user(cls, name: str, **settings: Any) -> Self:
        """Return the entry of a detector that is a function of the user."""
        return cls(config_name=f"{_OF_USER}{name}", **settings)

    @property
    def is_of_user(self) -> bool:
        """Whether the detector is a function of the user."""
        return self.config_name.startswith(_OF_USER)

    @property
    def is_imported(self) -> bool:
        """Whether the objects were imported, so that they come from no detector."""
        return self.config_name.startswith(_IMPORTED)

    @property
    def identity(self) -> dict[str, str]:
        """Configuration and weights, or the source of imported masks, for comparisons."""
        return {
            "config_name": self.config_name,
            "config_digest": self.config_digest,
            "checkpoint_digest": self.checkpoint_digest,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Objects that were not imported."""

    __pydantic_config__: ClassVar = STRICT

    id: str
    """Id of the video."""
    reason: str
    number: _Number
    """Number of objects."""
    first: str
    """Description of the first one."""


def _each_once(videos: tuple[VideoEntry, ...]) -> tuple[VideoEntry, ...]:
    if len({video.id for video in videos}) < len(videos):
        raise ValueError("expected distinct videos, got duplicates")
    return videos


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardAttributes:
    """Attributes of the group, without format and version; other attributes are ignored."""

    __pydantic_config__: ClassVar = STRICT | ConfigDict(extra="ignore")

    score_kind: ScoreKind
    """Kind of class scores."""
    detector: DetectorEntry
    """Detector that made the detections."""
    videos: Annotated[tuple[VideoEntry, ...], AfterValidator(_each_once)]
    """Videos indexed by `frame_video`; ids are unique."""
    failed: tuple[FailedVideo, ...]
    """Videos of the unit that could not be decoded."""
    left_out: tuple[LeftOut, ...] = ()
    """Objects of the videos that were not imported."""
    has_tracks: bool = False
    """Whether there is an array `tracks`."""

    @property
    def rules(self) -> ClassRules:
        """Rules for labels and scores."""
        return ClassRules(num_classes=len(self.detector.class_names), score_kind=self.score_kind)

    @property
    def arrays(self) -> Mapping[str, ArraySpec]:
        """Specifications of the arrays by name."""
        num_classes = len(self.detector.class_names)
        return arrays_of(self.score_kind, num_classes, has_tracks=self.has_tracks)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes for the file, starting with format and version."""
        return {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(self)}

    @property
    def digest(self) -> str:
        """Digest, `sha256:...`, of the fields by name, without those that have their default, so
        that a new field with a default changes no digest."""
        return json_digest(_ATTRIBUTES.dump_python(self, exclude_defaults=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The `zarr.json` of a shard."""

    __pydantic_config__: ClassVar = STRICT | ConfigDict(extra="ignore")

    zarr_format: Literal[3]
    node_type: Literal["group"]
    attributes: ShardAttributes


_ATTRIBUTES, _GROUP = TypeAdapter(ShardAttributes), TypeAdapter(_Group)


def read_attributes(text: bytes, *, where: str) -> ShardAttributes:
    """Return the attributes in a group's `zarr.json`.

    Args:
        text: the document.
        where: path of the shard, for messages.

    Raises:
        ShardFormatError: if the group is not a shard of this version.
    """
    document = parse_json(text, where=f"{where}: zarr.json", error=ShardFormatError)
    attributes = document.get("attributes") if isinstance(document, dict) else None
    attributes = attributes if isinstance(attributes, dict) else {}
    if attributes.get("format") != FORMAT_NAME:
        raise ShardFormatError(
            f"expected format {FORMAT_NAME!r}, got "
            f"{described(attributes.get('format'))}; choose a shard of detections",
            where=where,
        )
    if attributes.get("format_version") != FORMAT_VERSION:
        raise ShardFormatError(
            f"expected format version {FORMAT_VERSION}, got "
            f"{described(attributes.get('format_version'))}; detect or import again with --fresh",
            where=where,
        )
    try:
        return _GROUP.validate_json(text).attributes
    except ValidationError as err:
        raise ShardFormatError(
            f"invalid zarr.json of format version {FORMAT_VERSION} ({problems_of(err, _Group)})",
            where=where,
        ) from err
