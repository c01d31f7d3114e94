"""What `predict_videos` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orn.shared.errors import ConfigError
from orn.stage1_detect.imports.import_config import AS_USUAL, ObjectOptions, RecordsName

if TYPE_CHECKING:
    from orn.stage1_detect.own_detector import OwnDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictConfig:
    """What `predict_videos` does; None selects the default."""

    run: str | Path
    """Run folder, model folder or hf://ORG/NAME."""
    videos: tuple[str | Path, ...]
    """Files, folders of files, or folders of JPEGs."""
    shards: Path | None = None
    """Folder of shards with the objects."""
    objects: Path | None = None
    """File or folder of objects, as for `import_objects`."""
    form: RecordsName | None = None
    """Format of `objects`."""
    options: ObjectOptions = AS_USUAL
    """How they are read."""
    checkpoint: Path | None = None
    """File with the detector's weights; default: the model's own."""
    config: str | None = None
    """Name or file of the detector's config; default: as in training."""
    detector: OwnDetector | str | None = None
    """A detector of the user's own, or `FILE.py:NAME`, as in `detect`."""
    any_detector: bool = False
    """Whether a detector other than that of training is allowed."""
    window: float | None = None
    """Length of a window in seconds; default: that of training segments."""
    threshold: float = 0.5
    """Minimum probability of a predicted label, 0..1, if there are several."""
    pairs: int = 0
    """Number of pairs of objects to report per window."""
    rate: float | None = None
    """Frame rate in Hz of folders of frames."""
    overlay: Path | None = None
    """MP4 file, or folder, of the annotated videos."""
    html: Path | None = None
    """File of the page of all videos; of intervals, that of the timeline of a video, or a folder of
    such pages."""
    csv: Path | None = None
    """File of the intervals of all videos, of a model of intervals."""
    frames_csv: Path | None = None
    """File of the probabilities at each described time, of a model of intervals."""
    threads: int | None = None
    """CPU threads; default: OMP_NUM_THREADS, else the number of cores."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, ... or `auto`."""

    def __post_init__(self) -> None:
        self.options.check(self.objects, self.form)
        if self.objects is not None and self.shards is not None:
            raise ConfigError("--objects and --shards: expected at most one, got both; omit one")
        others = (self.shards, self.objects, self.config, self.checkpoint)
        if self.detector is not None and any(others):
            raise ConfigError(
                "--detector: expected none of --shards, --objects, --config and --checkpoint; omit "
                "them"
            )
        if self.html is not None and self.html.suffix.lower() not in ("", ".html"):
            raise ConfigError(f"--html: expected OUT.html or FOLDER, got {self.html}")
