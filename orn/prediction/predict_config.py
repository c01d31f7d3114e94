"""What `predict_videos` is told."""

from dataclasses import dataclass
from pathlib import Path

from orn.shared.errors import ConfigError
from orn.stage1_detect.imports.import_config import AS_USUAL, ObjectOptions, RecordsName


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictConfig:
    """What `predict_videos` does; None selects the default."""

    run: str | Path
    """Run folder, model folder or hf://ORG/NAME."""
    videos: tuple[str | Path, ...]
    """Files, folders of files, or folders of JPEGs."""
    shards: Path | None = None
    """Use the objects in these shards; videos are matched by content."""
    objects: Path | None = None
    """Use the objects in this file or folder, as for `orn import-objects`; videos are matched by
    the end of their path; requires --format."""
    form: RecordsName | None = None
    """Format of --objects."""
    options: ObjectOptions = AS_USUAL
    """How they are read."""
    checkpoint: Path | None = None
    """File with the detector's weights; default: from the model folder, else the published
    weights."""
    config: str | None = None
    """Config of the detector; default: as in training."""
    any_detector: bool = False
    """Allow a detector other than the one used for training."""
    window: float | None = None
    """Length of a window; longer videos have several windows; default: derived from the training
    segments."""
    threshold: float = 0.5
    """Minimum probability of a predicted label, for multi-label networks."""
    pairs: int = 0
    """Number of most important pairs of objects to report per window."""
    rate: float | None = None
    """Frames per second of videos that are folders of frames."""
    overlay: Path | None = None
    """File for a copy of the video with its objects, the predicted class over time, and the most
    important pair; of several videos, a folder."""
    html: Path | None = None
    """Write a self-contained page of all videos: predictions over time, and explanations."""
    threads: int | None = None
    """CPU threads of this process; results may differ by rounding errors; default:
    OMP_NUM_THREADS, else the number of cores."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto selects a GPU if there is one."""

    def __post_init__(self) -> None:
        self.options.check(self.objects, self.form)
        if self.objects is not None and self.shards is not None:
            raise ConfigError("--objects and --shards: expected at most one, got both; omit one")
        if self.html is not None and self.html.suffix.lower() != ".html":
            raise ConfigError(f"--html: expected OUT.html, got {self.html}")
