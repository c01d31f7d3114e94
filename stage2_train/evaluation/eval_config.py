"""What `evaluate` is told."""

import re
from dataclasses import dataclass
from pathlib import Path

from orn.data_manifests.records import Split
from orn.shared.errors import ConfigError
from orn.stage2_train.settings.resources import WITH_WORKERS, DataAndDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """What `evaluate` does; for paths that are None, the paths recorded by the run are used."""

    run: str | Path | None = None
    """Run folder, model folder or hf://ORG/NAME; default: the newest run."""
    dataset: str | None = None
    """Data set, also of the newest run without `run`; default: the run's."""
    split: Split = "validation"
    """Split to evaluate."""
    num_clips: int = 1
    """Number of test clips per segment, whose logits are averaged."""
    label: str | None = None
    """NAME in eval-SPLIT-NAME.json; required with shards other than the run's."""
    resources: DataAndDevice = WITH_WORKERS
    """Paths of the data, workers and device."""

    def __post_init__(self) -> None:
        if self.label is not None and not re.fullmatch(r"[\w.-]+", self.label):
            raise ConfigError(
                f"--name {self.label!r}: expected letters, digits, dots, hyphens and underscores"
            )

    @property
    def name(self) -> str:
        """Name of the evaluation in its files, such as eval-NAME.json."""
        return "-".join(filter(None, (self.split, self.label)))
