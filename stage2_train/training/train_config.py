"""What `train` is told."""

from dataclasses import dataclass
from pathlib import Path

from orn.shared.errors import ConfigError
from orn.stage2_train.settings.resources import WITH_WORKERS, DataAndDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What `train` does; None selects the default."""

    manifest: str
    """Name or file of the manifest."""
    recipe: str | None = None
    """Name or file of the recipe; default: the data set's own."""
    system: str | None = None
    """System of the paper, instead of the recipe's."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe, `KEY=VALUE` each."""
    run: Path | None = None
    """Run folder; default: runs/DATASET-RECIPE-SYSTEM-seedN."""
    weights: Path | None = None
    """File with a state dict of torchvision."""
    start: str | Path | None = None
    """Run folder, model folder or hf://ORG/NAME to fine-tune."""
    seed: int | None = None
    """Random seed; default: the recipe's."""
    max_steps: int | None = None
    """Number of steps, at most."""
    resources: DataAndDevice = WITH_WORKERS
    """Paths of the data, workers and device."""

    def __post_init__(self) -> None:
        if self.start is not None and self.weights is not None:
            raise ConfigError("--from and --weights: expected at most one, got both; omit one")
        if self.run and self.start and Path(self.start).resolve() == self.run.resolve():
            raise ConfigError("--from: expected another run than --run; pass a different --run")
