"""The job behind `orn eval`: a split of a run's data set, measured, everything kept in files.

RUN/eval-SPLIT.json          metrics of each head, chance level, a table by class, confusion matrix
RUN/predictions-SPLIT.npz    ids, labels and logits
"""

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from shared.errors import CheckpointError, ConfigError
from shared.jobs.atomic_file import write_text
from stage2_train.clips.batches import LoaderSettings
from stage2_train.clips.controls import FrameOrder
from stage2_train.clips.dataset import ClipDataset
from stage2_train.clips.join import JoinedSplit
from stage2_train.devices import main_progress
from stage2_train.evaluation.metrics import Scores, chance_level, confusion
from stage2_train.evaluation.predictions import Predictions, gathered, predict, save_predictions
from stage2_train.evaluation.scores import score_heads, unsure_labels
from stage2_train.model.build import build_network
from stage2_train.runs.checkpoint import (
    BEST_NAME,
    LAST_NAME,
    Checkpoint,
    load_checkpoint,
    load_weights,
)
from stage2_train.runs.run_config import RunConfig
from stage2_train.runs.sources import Sources
from stage2_train.training.phases import phase_heads
from stage2_train.training.recipe import Recipe

__all__ = ["EvaluationRequest", "evaluate_run", "report_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """What to measure, and how."""

    split: str
    """Name of the split."""
    num_clips: int = 1
    """Test clips of each segment; their logits are averaged."""
    frame_order: FrameOrder | None = None
    """Order of a clip's frames in place of the recipe's; a control."""
    label: str | None = None
    """Tells this measurement from others of the split."""
    workers: int = 0
    """Processes that make batches."""

    def __post_init__(self) -> None:
        """Raises ConfigError where the label cannot tell a file of its own."""
        if self.label is not None and not re.fullmatch(r"[\w.-]+", self.label):
            raise ConfigError(
                f"--name {self.label!r}: wanted letters, digits, dots, hyphens and underscores"
            )
        if self.label is not None and self.label.partition("-")[0] in get_args(FrameOrder):
            raise ConfigError(
                f"--name {self.label!r}: begins with an order of frames, whose results it would "
                "replace; choose another"
            )

    @property
    def name(self) -> str:
        """What the files of this measurement are called by."""
        return "-".join(filter(None, (self.split, self.frame_order, self.label)))


def evaluate_run(
    run: Path,
    config: RunConfig,
    sources: Sources,
    request: EvaluationRequest,
    *,
    accelerator: Accelerator,
) -> dict[str, Any]:
    """Measures the best checkpoint of a run's phase, or the last one where none was validated.

    Returns:
        What is written to RUN/eval-SPLIT.json.

    Raises:
        ConfigError: if the data set's classes are not those that the run was trained for.
        CheckpointError: if the run has no checkpoint.
        JoinError: if the split has no usable segment.
    """
    _check_classes(run, config, sources)
    path, checkpoint = _best_checkpoint(run)
    network = build_network(config.recipe.model)
    load_weights(network, checkpoint, path=path)
    network.to(accelerator.device)
    joined = sources.join(request.split)
    joined.require_segments(config.dataset.name)
    clips = sources.clip_dataset(joined, _recipe(config, request))
    heads = phase_heads(config.recipe, checkpoint.state.phase)
    total = len(clips) * request.num_clips
    with main_progress(accelerator, "eval", total=total, unit="clips") as bar:
        part = predict(
            network,
            clips,
            LoaderSettings(
                batch_size=config.recipe.optimiser.batch_size,
                workers=request.workers,
                pin_memory=accelerator.device.type == "cuda",
                rank=accelerator.process_index,
                world_size=accelerator.num_processes,
            ),
            heads=heads,
            num_clips=request.num_clips,
            accelerator=accelerator,
            advance=bar.advance,
        )
    predictions = gathered(gather_object([part]))
    report = {
        "run": str(run),
        "dataset": config.dataset.name,
        "system": config.system,
        "checkpoint": path.name,
        "step": checkpoint.state.step,
        "detector": sources.detector,
        **_report(predictions, clips, joined=joined, request=request, config=config),
    }
    if accelerator.is_main_process:
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_text(run / f"eval-{request.name}.json", text)
        save_predictions(run / f"predictions-{request.name}.npz", predictions)
    return report


def _recipe(config: RunConfig, request: EvaluationRequest) -> Recipe:
    """The run's recipe with the order of frames that is asked for."""
    if request.frame_order is None:
        return config.recipe
    data = config.recipe.data
    controls = replace(data.controls, frame_order=request.frame_order)
    return replace(config.recipe, data=replace(data, controls=controls))


def _report(
    predictions: Predictions,
    clips: ClipDataset,
    *,
    joined: JoinedSplit,
    request: EvaluationRequest,
    config: RunConfig,
) -> dict[str, Any]:
    scores = score_heads(predictions, clips)
    classes = config.dataset.classes
    report: dict[str, Any] = {
        "split": request.split,
        "num_segments": len(predictions.ids),
        "num_skipped": len(joined.skipped),
        "clips": request.num_clips,
        "frame_order": request.frame_order or config.recipe.data.controls.frame_order,
        "metric": config.dataset.metric,
        **{name: dict(each.summary) for name, each in scores.items()},
        "chance": chance_level(
            config.dataset.metric,
            predictions.labels,
            num_classes=len(classes),
            unsure_NA=unsure_labels(clips),
        ),
        "per_class": _class_table(scores, predictions, classes),
    }
    if predictions.labels.ndim == 1:
        labels_N = predictions.labels.astype(np.int64)
        report["confusion"] = confusion(predictions.logits, labels_N).tolist()
    return report


def _class_table(
    scores: dict[str, Scores], predictions: Predictions, classes: tuple[str, ...]
) -> list[dict[str, Any]]:
    """One row a class: name, number of segments, score of each head, null without a segment."""
    labels = predictions.labels
    return [
        {
            "class": name,
            "num_segments": int(
                (labels == row).sum() if labels.ndim == 1 else labels[:, row].sum()
            ),
            **{
                head: None if math.isnan(each.per_class[row]) else float(each.per_class[row])
                for head, each in scores.items()
            },
        }
        for row, name in enumerate(classes)
    ]


def _best_checkpoint(run: Path) -> tuple[Path, Checkpoint]:
    """The best checkpoint if it is of the phase that the run is in, else the last one."""
    last_path, best_path = run / LAST_NAME, run / BEST_NAME
    if not last_path.is_file():
        raise CheckpointError(
            f"{run}: wanted a checkpoint {LAST_NAME}, found none; `orn train` writes one at the "
            "end of each epoch"
        )
    last = load_checkpoint(last_path)
    if best_path.is_file():
        best = load_checkpoint(best_path)
        if best.state.phase == last.state.phase:
            return best_path, best
    return last_path, last


def _check_classes(run: Path, config: RunConfig, sources: Sources) -> None:
    wanted, found = config.dataset.classes, sources.dataset.classes
    if wanted == found:
        return
    differing = next(
        (
            f"class {row} is {there!r} in the run, {here!r} in the data set"
            for row, (there, here) in enumerate(zip(wanted, found, strict=False))
            if there != here
        ),
        f"the run has {len(wanted)} classes, the data set {len(found)}",
    )
    raise ConfigError(
        f"{run}: was trained for other classes than data set {sources.dataset.name!r} has: "
        f"{differing}; evaluate on the data set that it was trained on"
    )


def report_text(report: dict[str, Any]) -> str:
    """The report for people: a line a head, chance level last."""
    lines = [
        f"{report['dataset']}, {report['split']}: {report['num_segments']} segments, "
        f"{report['clips']} clips each, step {report['step']}"
    ]
    if report["system"] is not None:
        lines.append(f"system: {report['system']}")
    for head in ("two_heads", "activity_head", "object_head"):
        if head in report:
            values = ", ".join(
                f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in report[head].items()
            )
            lines.append(f"{head}: {values}")
    lines.append(f"chance: {report['chance']:.4f}")
    return "\n".join(lines)
