"""What `evaluate` is told."""

from dataclasses import dataclass
from pathlib import Path

from orn.data_manifests.records import Split
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
    resources: DataAndDevice = WITH_WORKERS
    """Paths of the data, workers and device."""
