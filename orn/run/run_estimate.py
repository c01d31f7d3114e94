"""Count the remaining work of a pipeline, and estimate its duration from the table of seconds."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from orn.data_manifests.headers import read_headers
from orn.data_manifests.records import Dataset
from orn.run.plan_run import Pipeline
from orn.run.run_steps import pipeline_steps
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError
from orn.shared.estimates import BYTES, estimated_seconds, time_text
from orn.shared.jobs.plan import Plan
from orn.shared.options import parse_request
from orn.shared.shards.shard_format import SHARD_FILES
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.stage1_detect.detect import describe_detection
from orn.stage1_detect.detect_request import DetectRequest
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.clip_store.make_clips import describe_clips
from orn.stage2_train.model.build import count_parameters
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_folder import read_status
from orn.stage2_train.settings.recipe import clip_seconds, load_recipe

_EXPLAINED = 400
"""Maximum number of clips explained by `orn report`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEstimate:
    """Remaining work for one step of a pipeline."""

    step: str
    """Name of the step."""
    work: str
    """Amount of work, in words."""
    seconds: float | None
    """Time in seconds; None if it is not in the table."""
    num_bytes: int = 0
    """Disk space that the step will use."""


def estimate_pipeline(
    pipeline: Pipeline, dataset: Dataset, faster: Pipeline | None = None
) -> dict[str, Any]:
    """Return the remaining work, time and disk space of each step, as a JSON object.

    Args:
        pipeline: the pipeline.
        dataset: its data set.
        faster: the same with a faster detector, if there is one.

    Raises:
        PipelineError: if the existing shards belong to a different job.
    """
    device = choose_device("auto")
    removed = _removed(pipeline, dataset, device)
    steps = [*_data_steps(pipeline, dataset), *_training_steps(pipeline, dataset, device)]
    return {
        "dataset": dataset.name,
        "device": device,
        "steps": [asdict(step) for step in steps],
        "seconds": round(sum(step.seconds or 0.0 for step in steps), 1),
        "num_bytes": sum(step.num_bytes for step in steps),
        "free_bytes": shutil.disk_usage(Path()).free,
        "removed": removed,
        "faster": faster and _faster(faster, dataset, steps[0].seconds),
    }


def as_report(estimate: dict[str, Any]) -> Report:
    """Return an estimate in printable form."""
    rows = [
        (step["step"], step["work"], time_text(step["seconds"]), decimal(step["num_bytes"]))
        for step in estimate["steps"]
    ]
    removed, faster = estimate["removed"], estimate["faster"]
    notes = [
        "Times are rough: the amount of work times the seconds in docs/planning.md, on the "
        f"{estimate['device']} of this machine (?: not measured). Free disk space: "
        f"{decimal(estimate['free_bytes'])}."
    ]
    if removed:
        notes.append(f"--fresh removes {'; '.join(removed)}.")
    if faster:
        notes.append(
            f"Without a GPU, Mask R-CNN on every frame takes {time_text(faster['usual_seconds'])}; "
            f"{faster['options']} takes {time_text(faster['seconds'])}."
        )
    total = ("total", "", time_text(estimate["seconds"]), decimal(estimate["num_bytes"]))
    return Report(
        tables=[Table(header=("step", "remaining", "time", "disk space"), rows=[*rows, total])],
        notes=notes,
    )


def _removed(pipeline: Pipeline, dataset: Dataset, device: str) -> list[str]:
    """Return the earlier results that will be removed, in words."""
    removed = [str(results) for results in pipeline.earlier(dataset.name)]
    folder, plan = pipeline.shards_of(dataset.name), None
    with suppress(ConfigError):  # a damaged plan
        plan = Plan.load(folder) if removed else None
    if plan is not None:
        missing = set(SHARD_FILES.missing(plan.units, folder))
        frames = round(sum(unit.frames for unit in plan.units if unit not in missing))
        config = plan.settings.get("detector", {}).get("config_name")
        seconds = estimated_seconds(f"detect {config}", frames, device=device)
        removed.append(f"{counted(frames, 'frame')} of detection, {time_text(seconds)}")
    return removed


def _faster(pipeline: Pipeline, dataset: Dataset, usual_seconds: float | None) -> dict[str, Any]:
    """Return the times of the default detector on every frame and of a faster pipeline, where
    detection has not begun."""
    lengths = read_headers(dataset.videos).values()
    frames = sum(length.at_rate(pipeline.rate).frames for length in lengths)
    return {
        "options": f"--config {pipeline.config} --rate {pipeline.rate:g}",
        "seconds": estimated_seconds(f"detect {pipeline.config}", frames),
        "usual_seconds": usual_seconds,
    }


def _data_steps(pipeline: Pipeline, dataset: Dataset) -> Iterator[StepEstimate]:
    """Yield the estimates for detection, or for import, and for the clip store.

    Raises:
        ConfigError: if the existing shards belong to a different job.
    """
    argv = {step.name: step.argv[1:] for step in pipeline_steps(pipeline)}
    if pipeline.objects is not None:
        work = counted(len(dataset.videos), "video")
        yield StepEstimate(step="import-objects", work=work, seconds=None)
    else:
        try:
            detect = describe_detection(parse_request(DetectRequest, argv["detect"]), dataset)
        except ConfigError as err:  # `orn run` has no --out
            text = str(err).replace(", choose a different --out, or", ", or")
            raise ConfigError(text) from err
        work = f"{counted(detect['frames_to_do'], 'frame')} of {counted(detect['videos'], 'video')}"
        yield StepEstimate(
            step="detect",
            work=work,
            seconds=detect["estimated_seconds"],
            num_bytes=detect["estimated_bytes"],
        )
    clips = describe_clips(parse_request(ClipsRequest, argv["clips"]), dataset)
    work = f"{counted(clips['estimated_frames'], 'frame')} of {counted(clips['to_do'], 'video')}"
    yield StepEstimate(
        step="clips",
        work=work,
        seconds=clips["estimated_seconds"],
        num_bytes=clips["estimated_bytes"],
    )


def _training_steps(pipeline: Pipeline, dataset: Dataset, device: str) -> Iterator[StepEstimate]:
    """Yield the estimates for training, evaluation and report."""
    recipe = load_recipe(
        pipeline.recipe,
        num_activities=len(dataset.classes),
        overrides=(*pipeline.overrides, f"seed={pipeline.seed}"),
        clip_frames=dataset.clip_frames,
    )
    splits = [segment.split for segment in dataset.segments]
    trained = sum(split in recipe.data.training_splits for split in splits)
    if recipe.data.train_segments is not None:
        trained = min(trained, recipe.data.train_segments)
    steps = sum(phase.num_steps for phase in plan_phases(recipe, num_segments=trained))
    batch = recipe.optimizer.batch_size * recipe.optimizer.accumulation
    for training in pipeline.trainings:
        status = None if pipeline.fresh else read_status(training.run)
        left = steps if status is None else status.num_steps - status.step
        yield StepEstimate(
            step=f"train{training.name}",
            work=f"{counted(left, 'step')} of {counted(batch, 'clip')}",
            seconds=clip_seconds(recipe, "train", left * batch, device=device),
            num_bytes=0 if status else round(BYTES["train"] * count_parameters(recipe.model)),
        )
    if not pipeline.fresh and pipeline.evaluation.exists() and pipeline.report.exists():
        return
    clips = len(splits) if pipeline.folds else splits.count(pipeline.split)
    explained = min(clips, _EXPLAINED)
    # explaining and drawing a clip takes as long as 2 to 5 forward passes on the demo
    for step, shown, passes in (("eval", clips, clips), ("report", explained, 4 * explained)):
        yield StepEstimate(
            step=step,
            work=counted(shown, "clip"),
            seconds=clip_seconds(recipe, "eval", passes, device=device),
        )
