"""Records of a data set, read from its manifest and label tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orn.shared.time_ranges import TimeRange

Task = Literal["single-label", "multi-label"]
Form = Literal["clips", "segments", "frames"]
Metric = Literal["top1", "map"]
Split = Literal["train", "validation", "test"]
SubsetName = Literal["tail", "unseen"]
Kind = Literal["segments", "intervals"]
"""What the rows of a table are: clips to classify, or intervals to find in long videos."""

METRICS: Mapping[Task, Metric] = {"single-label": "top1", "multi-label": "map"}
"""The metric of each task."""
FEW_SEGMENTS = 2000
"""Number of segments below which data sets are small: their default recipe differs."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


ALL = "all"
"""Column of a table of folds in which every video is used for training."""


def fold_names(number: int) -> tuple[str, ...]:
    """Return the names of folds, which are columns of the table of splits."""
    return tuple(f"fold-{fold}" for fold in range(1, number + 1))


(FIRST_FOLD,) = fold_names(1)
"""Name of the fold that every cross-validation has."""


def check_metric(task: Task, metric: Metric) -> None:
    """Raise ValueError if the metric does not match the task."""
    if metric != METRICS[task]:
        raise ValueError(
            f"metric: expected {METRICS[task]!r} for task {task!r}, got {metric!r}; "
            "change one of the two"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """An existing video file or frame folder."""

    id: str
    """Id in the label table; may contain slashes."""
    path: Path
    rate: float | None = None
    """Frames per second of a frame folder; None for a video file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A labeled time range of a video."""

    id: str
    video_id: str
    split: str
    """"train", "validation" or "test"."""
    labels: tuple[int, ...] = ()
    """Ascending indices into `Dataset.classes`; at most one in a single-label data set. Empty means
    no class in a multi-label data set, and an unpublished or unread label otherwise."""
    unsure: tuple[int, ...] = ()
    """Classes with unsure labels, disjoint from `labels`. The official evaluation of VLOG ignores
    them."""
    start_seconds: float | None = None
    """None for the start of the video."""
    stop_seconds: float | None = None
    """None for the end of the video; the range is half-open."""
    participant: str | None = None
    """Person who recorded the video, if the label table specifies one."""
    group: str | None = None
    """What the video has in common with others, such as the film it was cut from, if the label
    table specifies it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorChoice:
    """The detector of a data set; None for the default."""

    config: str | None = None
    """A file, or a name in MMDetection's model zoo."""
    checkpoint: Path | None = None
    """Weights file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """A subset of a single-label data set with separate published metrics."""

    name: SubsetName
    """Name of the subset; `orn.data_manifests.epic` has the published definitions."""
    classes: tuple[int, ...] = ()
    """Ascending classes whose segments form the subset."""
    participants: tuple[str, ...] = ()
    """Participants whose videos form the subset."""
    absent: Path | None = None
    """The table that defines the subset, if that table is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Films:
    """Long videos whose rows are intervals of activities: how they are described, and what was
    looked at in them."""

    background: str | None
    """Name of the last class, which is what no interval covers; None for multiple labels, where it
    is the absence of all labels."""
    rate: float
    """Described times per second."""
    window_seconds: float | None = None
    """Duration of the windows that a network reads; None for that from the training intervals."""
    split_of: Mapping[str, str] = field(default_factory=dict)
    """Split of each video, also of a video without intervals."""
    group_of: Mapping[str, str | None] = field(default_factory=dict)
    """Group of each video."""
    observed: Mapping[str, tuple[TimeRange, ...]] = field(default_factory=dict)
    """What was looked at in each video; without an entry, the whole video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Content of the label tables, whether or not the videos exist."""

    classes: tuple[str, ...]
    video_ids: tuple[str, ...]
    """Distinct videos in the order of the table."""
    segments: tuple[Segment, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of skipped rows by reason, such as "no verb class"."""
    absent: tuple[str, ...] = ()
    """Missing tables, if these are accepted."""
    subsets: tuple[Subset, ...] = ()
    """Subsets with separate metrics."""
    films: Films | None = None
    """For intervals of long videos; None for clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set on this machine."""

    name: str
    task: Task
    form: Form
    metric: Metric
    clip_frames: int
    """L, the number of frames sampled from a segment."""
    root: Path
    """The folder of this data set in the data root."""
    detector: DetectorChoice
    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    """Existing videos, in the order of the table."""
    segments: tuple[Segment, ...]
    """Segments of `videos`, in the order of the table."""
    missing: tuple[str, ...]
    """Listed video ids without a file."""
    lost_segments: tuple[Segment, ...] = ()
    """Segments of `missing` videos, in the order of the table."""
    clip_height: int = 256
    """Height of the frames in the clip store."""
    clip_width: int = 256
    """Width of the frames in the clip store."""
    flipped_classes: tuple[tuple[str, str], ...] | None = None
    """Pairs of classes that a horizontal flip exchanges; None if the manifest does not define
    them."""
    ignoring_case: tuple[str, ...] = ()
    """Ids of `videos` whose file names match only if case is ignored."""
    manifest: Path | None = None
    """File of the manifest; None if it is bundled."""
    films: Films | None = None
    """For intervals of long videos; None for clips. `segments` are the intervals."""
