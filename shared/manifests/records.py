"""What a data set is, once its manifest and label tables are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Task = Literal["single-label", "multi-label"]
Form = Literal["clips", "segments", "frames"]
Metric = Literal["top1", "map"]
Split = Literal["train", "validation", "test"]
SubsetName = Literal["many_shot", "tail", "unseen"]

METRICS: Mapping[Task, Metric] = {"single-label": "top1", "multi-label": "map"}
"""What is measured of each kind of labels."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def check_metric(task: Task, metric: Metric) -> None:
    """Raise ValueError if a metric is not the one of the task."""
    if metric != METRICS[task]:
        raise ValueError(
            f"metric: expected {METRICS[task]!r} for task {task!r}, got {metric!r}; "
            "change one of the two"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One video file or frame folder that exists."""

    id: str
    """As the label table writes it; may contain slashes."""
    path: Path
    rate: float | None = None
    """Frames a second; set for frame folders, None where the file knows."""
    inside: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """Folders, each of which may be a link, in one of which the file and all pictures of a frame
    folder must lie, see `orn.shared.manifests.source`. Empty for a path that the user gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A labelled time range of a video."""

    id: str
    video_id: str
    split: str
    """"train", "validation" or "test"."""
    labels: tuple[int, ...] = ()
    """Indices into `Dataset.classes`, ascending; one of them in a single-label data set. Empty in a
    multi-label one means that no class holds; in a single-label one, that the label is not
    published or was not asked for."""
    unsure: tuple[int, ...] = ()
    """Classes of which the annotators could not tell whether they hold; none of them is in
    `labels`. The official evaluation of VLOG leaves them out."""
    start_seconds: float | None = None
    """None for the start of the video."""
    stop_seconds: float | None = None
    """None for the end of the video; the range is half-open."""
    participant: str | None = None
    """Whose video it is, where the label table says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorChoice:
    """The detector that a data set asks for; None where it takes the default."""

    config: str | None = None
    """A file, or a name of MMDetection's model zoo."""
    checkpoint: Path | None = None
    """File of weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """A part of a single-label data set that its publishers measure by itself."""

    name: SubsetName
    """Which part; `orn.shared.manifests.epic` has the published definitions."""
    classes: tuple[int, ...] = ()
    """Whose segments it has, ascending."""
    participants: tuple[str, ...] = ()
    """Or those whose videos it has."""
    absent: Path | None = None
    """The table that says so, where it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the label tables say, whether or not the videos are there."""

    classes: tuple[str, ...]
    video_ids: tuple[str, ...]
    """Every listed video once, in the order of the table."""
    segments: tuple[Segment, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows that are no segments: how many, by the reason, such as "no verb class"."""
    absent: tuple[str, ...] = ()
    """Tables that are not there, where a part of them was asked to be enough."""
    subsets: tuple[Subset, ...] = ()
    """Parts that are measured by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set as it lies on this machine."""

    name: str
    task: Task
    form: Form
    metric: Metric
    clip_frames: int
    """L: frames sampled from a segment."""
    root: Path
    """The folder of this data set, under the data root."""
    detector: DetectorChoice
    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    """Those whose file exists, in the order of the table."""
    segments: tuple[Segment, ...]
    """Those of `videos`, in the order of the table."""
    missing: tuple[str, ...]
    """Listed video ids for which there is no file."""
    clip_height: int = 256
    """Rows of the frames in the clip store."""
    clip_width: int = 256
    """Columns of the frames in the clip store."""
    flipped_classes: tuple[tuple[str, str], ...] | None = None
    """Pairs of classes that become each other when a film is flipped left to right; None where the
    manifest does not say."""
    reversed_classes: tuple[tuple[str, str], ...] = ()
    """Pairs of classes that become each other when a film runs backwards."""
    ignoring_case: tuple[str, ...] = ()
    """Ids of `videos` whose file was found only by ignoring case."""
    subsets: tuple[Subset, ...] = ()
    """Parts that are measured by themselves."""
    manifest: Path | None = None
    """The file of its manifest; None of one that comes with the project, which its name finds."""
