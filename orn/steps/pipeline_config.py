"""What `orn run` is told."""

from dataclasses import dataclass
from pathlib import Path

from orn.shared.data_files import not_a_file
from orn.shared.errors import ConfigError
from orn.shared.text import path_text
from orn.stage1_detect.imports.import_config import AS_USUAL, FormatName, ObjectOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """What `orn run` does; None selects the default."""

    dataset: str
    """Name or file of the manifest, or a table of labels."""
    data_root: Path | None = None
    """Data root, the folder of all data sets; default: that of the manifest, else ORN_DATA, else
    data."""
    folds: int | None = None
    """Create K folds for cross-validation instead of one split of 80/10/10 percent."""
    intervals: bool = False
    """Rows of a table are intervals to find in long videos, not clips to classify."""
    no_final: bool = False
    """With --folds: omit the last training, on all videos, whose model predicts."""
    config: str | None = None
    """Detector, as in `orn detect`."""
    checkpoint: Path | None = None
    """Weights of the detector."""
    detector: str | None = None
    """A detector of the user's own, `FILE.py:NAME`, as in `orn detect`."""
    rate: float | None = None
    """Frames per second to process; the nearest frames are selected; default: every frame."""
    objects: Path | None = None
    """File or folder of objects to import instead of detecting; requires --format."""
    form: FormatName | None = None
    """Format of --objects, as in `orn import-objects`."""
    options: ObjectOptions = AS_USUAL
    """How objects are read."""
    recipe: str | None = None
    """Name or TOML file of a recipe; default: depends on DATASET."""
    overrides: tuple[str, ...] = ()
    """Override a setting, such as optimizer.learning_rate=1e-3; may be repeated."""
    seed: int = 0
    """Random seed."""
    run: Path | None = None
    """Run folder; default: runs/DATASET-RECIPE-seedN."""
    fresh: bool = False
    """Remove the existing shards, clip store and run, and start over."""
    partial: bool = False
    """Continue without videos that are missing or cannot be decoded."""

    def __post_init__(self) -> None:
        self.options.check(self.objects, self.form)
        for name in (
            ("config", "checkpoint", "detector", "rate") if self.objects is not None else ()
        ):
            if getattr(self, name) is not None:
                raise ConfigError(
                    f"--{name}: applies to detection, not to --objects; omit it, or run `orn "
                    "import-objects` with its options, then `orn train`"
                )
        if self.objects is not None and not self.objects.exists():
            raise ConfigError(
                f"--objects: expected a file or folder, got none at {path_text(self.objects)}; "
                "correct the path"
            )
        if self.is_table and (problem := not_a_file(self.dataset)):
            raise ConfigError(
                f"{path_text(self.dataset)}: expected a table of labels, got {problem}; correct "
                "the path"
            )

    @property
    def is_table(self) -> bool:
        """Whether the data set is given as a table of labels."""
        path = Path(self.dataset)
        return path.suffix.lower() == ".csv" or (path.suffix != ".toml" and path.is_file())
