"""Count the remaining work of a pipeline, and estimate its duration from the table of seconds."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orn.data_manifests.check import split_advice
from orn.data_manifests.load import load_manifest
from orn.data_manifests.records import Dataset
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError
from orn.shared.estimates import IMPORT_SECONDS, START_SECONDS, estimated_seconds, time_text
from orn.shared.text import counted, first_few
from orn.shared.text_summary import Summary, Table
from orn.stage1_detect.detect import describe_detection
from orn.stage1_detect.imports.import_config import ImportConfig
from orn.stage1_detect.imports.import_objects import describe_import
from orn.stage2_train.clip_store.make_clips import describe_clips
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_folder import read_status
from orn.stage2_train.settings.evaluation_names import CHANGES, MOST_CHANGED
from orn.stage2_train.settings.recipe import clip_seconds, load_recipe
from orn.stage2_train.training.initial_weights import find_initial_weights, imagenet_to_fetch
from orn.steps.plan_run import Pipeline
from orn.steps.run_steps import pipeline_steps

_FASTER = "--config rtmdet-ins_tiny_8xb32-300e_coco --rate 4"
"""Options to advise on a machine without a GPU."""
_RESULTS = ("calibrate", "eval", "baseline", "report")
"""Steps that use a trained network."""
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
    download: str | None = None
    """What the step downloads: a URL, or the name of a network."""


def estimate_pipeline(pipeline: Pipeline, dataset: Dataset) -> dict[str, Any]:
    """Return the remaining work and time of each step, as a JSON object.

    Raises:
        PipelineError: if the existing shards belong to a different job.
    """
    device = choose_device("auto")
    removed = [str(results) for results in pipeline.earlier(dataset.name)]
    estimates = [*_data_steps(pipeline, dataset), *_training_steps(pipeline, dataset, device)]
    steps = [
        step if step.seconds is None else replace(step, seconds=step.seconds + START_SECONDS)
        for step in estimates
    ]
    training = sum(step.seconds or 0.0 for step in steps if step.step.startswith("train"))
    manifest = pipeline.train.manifest
    labels = load_manifest(manifest).labels if Path(manifest).exists() else None
    return {
        "dataset": dataset.name,
        "device": device,
        "steps": [asdict(step) for step in steps],
        "seconds": round(sum(step.seconds or 0.0 for step in steps), 1),
        "removed": removed,
        "new_run": _new_run(pipeline, training),
        "downloads": sorted({step.download for step in steps if step.download}),
        "advice": split_advice(labels, dataset.segments, dataset.classes, root=dataset.root)
        if labels
        else [],
        "faster": _FASTER if _may_be_faster(pipeline, dataset, device) else None,
    }


def _new_run(pipeline: Pipeline, seconds: float) -> str | None:
    """Return how the training data have changed, and what is done about it; None if they have not.

    Args:
        pipeline: the pipeline.
        seconds: estimated time of all trainings.
    """
    if pipeline.new_run is None:
        return None
    networks = counted(len(pipeline.trainings), "new network")
    return (
        f"{pipeline.new_run}: trains {networks} in {pipeline.run}, about {time_text(seconds)}; the "
        "earlier run is kept, and --from starts from its weights."
    )


def without_short_workers(pipeline: Pipeline, estimate: dict[str, Any]) -> Pipeline:
    """Return the pipeline with one process for clips, and for each training, if starting several
    would take longer."""
    short = {
        step["step"].partition("-")[0]
        for step in estimate["steps"]
        if step["seconds"] is not None and step["seconds"] <= 3 * START_SECONDS
    }
    clips, train = pipeline.clips, pipeline.train
    if "clips" in short:
        clips = replace(clips, workers=1)
    if "train" in short:
        alone: dict[str, Any] = {"workers": 0, "threads": train.resources.num_threads()}
        train = replace(train, resources=replace(train.resources, **alone))
    return replace(pipeline, clips=clips, train=train)


def as_summary(estimate: dict[str, Any]) -> Summary:
    """Return an estimate in printable form."""
    rows = [(step["step"], step["work"], time_text(step["seconds"])) for step in estimate["steps"]]
    removed, faster = estimate["removed"], estimate["faster"]
    notes = [
        *filter(None, [estimate["new_run"]]),
        *(f"warning: {advice}" for advice in estimate["advice"]),
        "Times are rough: the amount of work times the seconds in docs/runs.md, on the "
        f"{estimate['device']} of this machine (?: not measured).",
        *(f"Downloads {name}." for name in estimate["downloads"]),
    ]
    if removed:
        notes.append(f"--fresh removes {'; '.join(removed)}.")
    if faster:
        notes.append(f"Without a GPU, Mask R-CNN on every frame takes long; {faster} is faster.")
    rows.append(("total", "", time_text(estimate["seconds"])))
    return Summary(tables=[Table(header=("step", "remaining", "time"), rows=rows)], notes=notes)


def _may_be_faster(pipeline: Pipeline, dataset: Dataset, device: str) -> bool:
    """Return whether no detector and rate is chosen on a machine without a GPU."""
    objects = pipeline.objects
    if isinstance(objects, ImportConfig) or device != "cpu":
        return False
    chosen = (objects.config, objects.checkpoint, objects.scope.rate, dataset.detector.config)
    return chosen == (None,) * 4


def _data_steps(pipeline: Pipeline, dataset: Dataset) -> Iterator[StepEstimate]:
    """Yield the estimates for detection, or for import, and for the clip store.

    Raises:
        ConfigError: if the existing shards belong to a different job.
    """
    objects = pipeline.objects
    if isinstance(objects, ImportConfig):
        work = counted(len(dataset.videos), "video")
        if pipeline.saved_settings(dataset.name) is not None:
            known = _existing(partial(describe_import, objects))
            if gone := known["gone"]:
                raise ConfigError(
                    f"{objects.source}: expected objects of all videos that have some in "
                    f"{known['out']}, got none any more of {first_few(gone)}; restore them, or "
                    "import all objects again with --fresh"
                )
            work = f"{known['units'] - known['existing_units']:,} of {known['units']:,} shards"
        files = [path for path in objects.source.rglob("*") if path.is_file()]
        megabytes = sum(path.stat().st_size for path in files or [objects.source]) / 1e6
        seconds = round(IMPORT_SECONDS * megabytes, 3)
        yield StepEstimate(step="import-objects", work=work, seconds=seconds)
    else:
        detect = _existing(partial(describe_detection, objects, dataset))
        work = f"{counted(detect['frames_to_do'], 'frame')} of {counted(detect['videos'], 'video')}"
        yield StepEstimate(
            step="detect",
            work=work,
            seconds=detect["estimated_seconds"],
            download=detect["to_fetch"],
        )
    clips = _existing(partial(describe_clips, pipeline.clips, dataset))
    work = f"{counted(clips['frames_to_do'], 'frame')} of {counted(clips['videos_to_do'], 'video')}"
    yield StepEstimate(
        step="clips",
        work=work,
        seconds=clips["estimated_seconds"],
        download=clips["to_fetch"],
    )


def _existing(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a command would do; the remedy for results with other settings is one of `orn
    run`, which has no --out."""
    try:
        return describe()
    except ConfigError as err:
        if err.remedy is not None:
            err.remedy = "resume with the options of these results, or start over with --fresh"
        raise


def _training_steps(pipeline: Pipeline, dataset: Dataset, device: str) -> Iterator[StepEstimate]:
    """Yield the estimates for training, evaluation and report."""
    request, is_fresh = pipeline.train, pipeline.objects.fresh
    recipe = load_recipe(
        str(request.recipe),
        num_activities=len(dataset.classes),
        overrides=(*request.overrides, f"seed={request.seed}"),
        clip_frames=dataset.clip_frames,
    )
    splits = [segment.split for segment in dataset.segments]
    trained = sum(split in recipe.data.training_splits for split in splits)
    if recipe.data.train_segments is not None:
        trained = min(trained, recipe.data.train_segments)
    steps = sum(phase.num_steps for phase in plan_phases(recipe, num_segments=trained))
    batch = recipe.optimizer.batch_size * recipe.optimizer.accumulation
    initial, trains = find_initial_weights(recipe, pipeline.run, None, file=None), False
    for fold, training in pipeline.trainings.items():
        status = None if is_fresh or training.run is None else read_status(training.run)
        left = steps if status is None else status.num_steps - status.step
        trains = trains or not (status and status.finished)
        yield StepEstimate(
            step=f"train-{fold}" if fold else "train",
            work=f"{counted(left, 'step')} of {counted(batch, 'clip')}",
            seconds=clip_seconds(recipe, "train", left * batch, device=device),
            download=imagenet_to_fetch(None if status else initial.published),
        )
    results = [step for step in pipeline_steps(pipeline) if step.name.partition("-")[0] in _RESULTS]
    if not (is_fresh or trains) and all(step.is_current() for step in results):
        return
    clips = len(splits) if pipeline.folds else splits.count(pipeline.split)
    explained = min(clips, _EXPLAINED)
    changed = len(CHANGES) * min(clips, MOST_CHANGED)
    # explaining and drawing a clip takes as long as 2 to 5 forward passes on the demo
    for step, shown, seconds in (
        ("eval", clips, clip_seconds(recipe, "eval", clips + changed, device=device)),
        ("baseline", len(splits), estimated_seconds("baseline", len(splits))),
        ("report", explained, clip_seconds(recipe, "eval", 4 * explained, device=device)),
    ):
        yield StepEstimate(step=step, work=counted(shown, "clip"), seconds=seconds)
