"""What `detect` is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orn.shared.errors import ConfigError
from orn.shared.jobs.plan import UNIT_FRAMES
from orn.shared.jobs.shares import Share
from orn.stage1_detect.own_detector import OwnDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig:
    """What `detect` does; None selects the data set's own value or the default."""

    dataset: str
    """Name of a bundled manifest, or path of a manifest file."""
    data_root: Path | None = None
    """Folder of all data sets."""
    out: Path | None = None
    """Folder of the shards; `shards/DATASET` by default."""
    checkpoint: Path | None = None
    """File with the detector's weights."""
    config: str | None = None
    """Name or file of the detector's config."""
    detector: OwnDetector | str | None = None
    """A detector of the user's own, or `FILE.py:NAME`, the function that makes it; in place of
    `config` and `checkpoint`."""
    score_threshold: float = 0.3
    """Detections with a lower score are dropped, 0..1."""
    frames: Literal["all", "labeled"] = "all"
    """Every frame, or only frames covered by a segment of the label table."""
    limit: int | None = None
    """Number of videos, the first ones of the data set."""
    rate: float | None = None
    """Frames per second to process; None for every frame."""
    unit_frames: int = UNIT_FRAMES
    """Approximate frames per shard."""
    batch_size: int | None = None
    """Frames per forward pass."""
    workers: int | None = None
    """Number of processes or actors."""
    engine: Literal["local", "ray"] = "local"
    """Processes on this machine, or actors on the Ray cluster at RAY_ADDRESS."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the backbone, neck and RPN head."""
    fresh: bool = False
    """Whether to remove the existing job in the folder."""
    retry_failed: bool = False
    """Whether to process videos again that failed."""
    share: Share | None = None
    """The share of the job to process; None for the whole job."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, ...; `auto` selects a GPU if there is one."""

    def __post_init__(self) -> None:
        if not 0 <= self.score_threshold <= 1:
            raise ConfigError(
                f"score_threshold: expected a number from 0 to 1, got {self.score_threshold}; pass "
                "one"
            )
        if self.detector is not None and (self.config or self.checkpoint):
            raise ConfigError("--detector: expected neither --config nor --checkpoint; omit them")
        if self.is_callable and (self.engine == "ray" or (self.workers or 1) > 1):
            raise ConfigError(
                "detector: a detector that is an object runs in this process, without other "
                "workers; pass FILE.py:NAME"
            )
        if self.share is not None and self.fresh:
            raise ConfigError("--share and --fresh: expected one; remove the earlier job first")
        if self.engine == "ray" and self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"--engine ray: expected --device auto, cpu or cuda, got {self.device!r}; omit the "
                "number, since Ray assigns GPUs to actors"
            )

    @property
    def is_callable(self) -> bool:
        """Whether the detector is an object, which runs in this process alone."""
        return self.detector is not None and not isinstance(self.detector, str)
