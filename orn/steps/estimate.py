"""What a pipeline would do: the remaining work of each step, with its time from the table of
seconds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orn.data_manifests.records import Dataset
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError
from orn.shared.estimates import IMPORT_SECONDS, START_SECONDS, estimated_seconds, time_text
from orn.shared.jobs.run_steps import Step
from orn.shared.text import counted, first_few
from orn.shared.text_summary import Summary, Table
from orn.stage1_detect.detect import describe_detection
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.imports.import_config import ImportConfig
from orn.stage1_detect.imports.import_objects import describe_import
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.clip_store.make_clips import describe_clips
from orn.stage2_train.evaluation.baseline_job import BaselineConfig
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.report.report_job import ReportConfig
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_folder import read_status
from orn.stage2_train.settings.names import CHANGES, MOST_CHANGED
from orn.stage2_train.settings.recipe import Recipe, clip_seconds, load_recipe
from orn.stage2_train.training.initial_weights import find_initial_weights, imagenet_to_fetch
from orn.stage2_train.training.train_config import TrainConfig
from orn.steps.film_lengths import windows_of_epoch, windows_of_film
from orn.steps.open_pipeline import Pipeline, saved_settings

_EXPLAINED = 400
"""Maximum number of clips explained by `orn report`."""


def with_work(steps: Sequence[Step], pipeline: Pipeline, dataset: Dataset) -> list[Step]:
    """Return the steps of a pipeline with their remaining work and time, and without worker
    processes where starting them would take longer.

    Raises:
        ConfigError: if the existing shards belong to a different job.
    """
    train = pipeline.train
    recipe = load_recipe(
        str(train.recipe),
        num_activities=len(dataset.classes),
        overrides=(*train.overrides, f"seed={train.seed}"),
        clip_frames=dataset.clip_frames,
    )
    counted_steps = []
    for step in steps:
        match step.config:
            case DetectConfig() | ClipsConfig() | ImportConfig() as config:
                step = replace(step, **_work_on_videos(config, dataset))
            case TrainConfig() as config:
                step = replace(step, **_work_of_training(config, pipeline, dataset, recipe))
            case EvalConfig() | BaselineConfig() | ReportConfig() as config:
                step = replace(step, **_work_on_clips(config, pipeline, dataset, recipe))
        counted_steps.append(_without_short_workers(step))
    return counted_steps


def remaining_steps(steps: Sequence[Step], pipeline: Pipeline) -> list[Step]:
    """Return the steps that a pipeline would run: those that look for new videos themselves, and
    from the first result that is not current on all, since each reads those before it."""
    runs = [training.run for training in pipeline.trainings.values()]
    statuses = [run and read_status(run) for run in runs]
    changes = pipeline.objects.fresh or not all(status and status.finished for status in statuses)
    remaining = []
    for step in steps:
        changes = changes or (step.stale is not None and not step.is_current())
        if changes or step.stale is None:
            remaining.append(step)
    return remaining


def describe_run(steps: Sequence[Step], pipeline: Pipeline, dataset: Dataset) -> dict[str, Any]:
    """Return what a pipeline would do, as a JSON object.

    Raises:
        ConfigError: if `--fresh` must not remove a folder.
    """
    remaining = remaining_steps(steps, pipeline)
    return {
        "dataset": dataset.name,
        "device": choose_device("auto"),
        "steps": [
            {
                "step": step.name,
                "remaining": step.remaining() or step.work,  # what reads new outputs is current yet
                "seconds": step.seconds,
            }
            for step in remaining
        ],
        "seconds": round(sum(step.seconds or 0.0 for step in remaining), 1),
        "removed": [str(results) for results in pipeline.earlier()],
        "new_run": _new_run(remaining, pipeline),
        "downloads": sorted({step.download for step in remaining if step.download}),
        "advice": list(pipeline.advice),
    }


def _new_run(steps: Sequence[Step], pipeline: Pipeline) -> str | None:
    """Return how the training data have changed, and what is done about it; None if they have
    not."""
    if pipeline.new_run is None:
        return None
    seconds = sum(step.seconds or 0.0 for step in steps if isinstance(step.config, TrainConfig))
    networks = counted(len(pipeline.trainings), "new network")
    return (
        f"{pipeline.new_run}: trains {networks} in {pipeline.run}, about {time_text(seconds)}; the "
        "earlier run is kept."
    )


def as_summary(described: dict[str, Any]) -> Summary:
    """Return the result of `describe_run` in printable form."""
    rows = [
        (step["step"], step["remaining"], time_text(step["seconds"])) for step in described["steps"]
    ]
    removed = described["removed"]
    notes = [
        *filter(None, [described["new_run"]]),
        *(f"warning: {advice}" for advice in described["advice"]),
        "Times are rough: the amount of work times the seconds in docs/speed.md, on the "
        f"{described['device']} of this machine (?: not measured).",
        *(f"Downloads {name}." for name in described["downloads"]),
    ]
    if removed:
        notes.append(f"--fresh removes {'; '.join(removed)}.")
    rows.append(("total", "", time_text(described["seconds"])))
    return Summary(tables=[Table(header=("step", "remaining", "time"), rows=rows)], notes=notes)


def _without_short_workers(step: Step) -> Step:
    """Return a step without worker processes if starting them would take longer than its work."""
    config = step.config
    if step.seconds is None or step.seconds > 3 * START_SECONDS:
        return step
    if isinstance(config, ClipsConfig):
        return replace(step, config=replace(config, workers=1))
    if isinstance(config, TrainConfig | EvalConfig | ReportConfig):
        threads = config.resources.num_threads()  # as with workers, which gives the same results
        alone = replace(config.resources, workers=0, threads=threads)
        return replace(step, config=replace(config, resources=alone))
    return step


def _planned(work: str, seconds: float | None, download: str | None = None) -> dict[str, Any]:
    """Return the work and time of a step that imports torch."""
    seconds = None if seconds is None else seconds + START_SECONDS
    return {"work": work, "seconds": seconds, "download": download}


def _work_on_videos(
    config: DetectConfig | ImportConfig | ClipsConfig, dataset: Dataset
) -> dict[str, Any]:
    """Return the work of detection, of an import, or of storing clips."""
    if isinstance(config, ImportConfig):
        return _work_of_import(config, dataset)
    if isinstance(config, DetectConfig):
        to_do = _described(partial(describe_detection, config, dataset))
        videos = to_do["videos"]
    else:
        to_do = _described(partial(describe_clips, config, dataset))
        videos = to_do["videos_to_do"]
    work = f"{counted(to_do['frames_to_do'], 'frame')} of {counted(videos, 'video')}"
    return _planned(work, to_do["estimated_seconds"], to_do["to_fetch"])


def _work_of_import(config: ImportConfig, dataset: Dataset) -> dict[str, Any]:
    """Return the work of an import.

    Raises:
        ConfigError: if objects of imported videos are gone from the source.
    """
    work = counted(len(dataset.videos), "video")
    if saved_settings(config):
        known = _described(partial(describe_import, config))
        if gone := known["gone"]:
            raise ConfigError(
                f"{config.source}: expected objects of all videos that have some in "
                f"{known['out']}, got none any more of {first_few(gone)}; restore them, or "
                "import all objects again with --fresh"
            )
        work = f"{known['units'] - known['existing_units']:,} of {known['units']:,} shards"
    files = [path for path in config.source.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files or [config.source]) / 1e6
    return _planned(work, round(IMPORT_SECONDS * megabytes, 3))


def _described(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a job would do; the remedy for results with other settings is one of `orn run`,
    which has no --out."""
    try:
        return describe()
    except ConfigError as err:
        if err.remedy is not None:
            err.remedy = "resume with the options of these results, or start over with --fresh"
        raise


def _work_of_training(
    config: TrainConfig, pipeline: Pipeline, dataset: Dataset, recipe: Recipe
) -> dict[str, Any]:
    run = Path(config.run or "")
    status = None if pipeline.objects.fresh else read_status(run)
    if status is not None:
        left = status.num_steps - status.step
    else:
        trained = _num_trained(pipeline, dataset, recipe)
        left = sum(phase.num_steps for phase in plan_phases(recipe, num_segments=trained))
    initial = find_initial_weights(recipe, run, None, file=None)
    batch = recipe.optimizer.batch_size * recipe.optimizer.accumulation
    return _planned(
        f"{counted(left, 'step')} of {counted(batch, 'clip')}",
        clip_seconds(recipe, "train", left * batch, device=choose_device("auto")),
        imagenet_to_fetch(None if status else initial.published),
    )


def _num_trained(pipeline: Pipeline, dataset: Dataset, recipe: Recipe) -> int:
    """Return the number of clips, or about that of windows, in an epoch of training."""
    splits = recipe.data.training_splits
    if (films := dataset.films) is None:
        return sum(segment.split in splits for segment in dataset.segments)
    number = sum(films.split_of.get(video.id, "train") in splits for video in dataset.videos)
    windows = windows_of_film(dataset)
    return windows_of_epoch(dataset, recipe.data.clip_frames, number, windows)


def _work_on_clips(
    config: EvalConfig | BaselineConfig | ReportConfig,
    pipeline: Pipeline,
    dataset: Dataset,
    recipe: Recipe,
) -> dict[str, Any]:
    """Return the work of an evaluation, of a baseline, or of a report; of long videos, about."""
    device, films = choose_device("auto"), dataset.films
    splits = [segment.split for segment in dataset.segments]
    kind, of_each = "clip", 1
    if films is not None:
        splits = [films.split_of.get(video.id, "train") for video in dataset.videos]
        kind, of_each = "window", windows_of_film(dataset)

    def amount(number: int) -> str:
        of_films = "" if films is None else f" of {counted(number, 'film')}"
        return f"{counted(number * of_each, kind)}{of_films}"

    tested = splits.count(config.split)
    if isinstance(config, BaselineConfig):
        seconds = estimated_seconds("baseline", len(splits) * of_each)
        return _planned(amount(len(splits)), seconds)
    if isinstance(config, ReportConfig):
        # explaining and drawing a clip takes as long as 2 to 5 forward passes on the demo
        explained = min((len(splits) if pipeline.folds else tested) * of_each, _EXPLAINED)
        seconds = clip_seconds(recipe, "eval", 4 * explained, device=device)
        return _planned(counted(explained, kind), seconds)
    if pipeline.folds:
        tested = len(splits) // pipeline.folds
    clips = tested * of_each
    passes = clips + len(CHANGES) * min(clips, MOST_CHANGED)
    return _planned(amount(tested), clip_seconds(recipe, "eval", passes, device=device))
