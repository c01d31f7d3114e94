"""What `orn eval` was asked for, resolved against what the run recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from shared.manifests.load import load_dataset
from shared.shards.reader import DetectionFolder
from stage2_train.devices import build_accelerator
from stage2_train.evaluation.evaluate import EvaluationRequest, evaluate_run
from stage2_train.runs.run_config import load_run_config
from stage2_train.runs.sources import Sources, open_frames

__all__ = ["EvalRequest", "evaluate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRequest:
    """A run and what to measure of it; paths that are None are those that the run recorded."""

    run: Path
    """Run folder."""
    evaluation: EvaluationRequest
    """What to measure."""
    data_root: Path | None = None
    """Folder under which data sets lie."""
    shards: Path | None = None
    """Folder of the shards."""
    clips: Path | None = None
    """The clip store."""
    no_clip_store: bool = False
    """Whether to decode every clip from its video instead."""
    partial: bool = False
    """Whether segments whose video is not there may be left out."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""


def evaluate(request: EvalRequest) -> dict[str, Any]:
    """Measures a run; see `evaluate_run` for what comes back and what else may be raised.

    Raises:
        ConfigError: if results with other shards would take the place of those with the run's own.
    """
    config = load_run_config(request.run)
    paths = config.paths
    _require_name_for_other_shards(request, paths.shards)
    dataset = load_dataset(paths.manifest, request.data_root or paths.data_root)
    clips = None if request.no_clip_store else request.clips or paths.clips
    sources = Sources(
        dataset=dataset,
        clips=open_frames(dataset, clips),
        detections=DetectionFolder(request.shards or paths.shards),
        partial=request.partial,
    )
    accelerator = build_accelerator(config.recipe.precision, request.device)
    return evaluate_run(request.run, config, sources, request.evaluation, accelerator=accelerator)


def _require_name_for_other_shards(request: EvalRequest, recorded: Path) -> None:
    shards = request.shards or recorded
    if shards.resolve() != recorded.resolve() and request.evaluation.label is None:
        raise ConfigError(
            f"eval {request.run}: --shards {shards} are not the run's ({recorded}), whose results "
            "would be replaced; give --name, as in --name detected, to keep both"
        )
