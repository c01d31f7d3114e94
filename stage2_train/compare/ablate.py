"""The job of `orn ablate`: train, evaluate and compare."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orn.data_manifests.draw_split import FOLD_VALIDATION
from orn.data_manifests.folds import requested_folds, write_fold_manifests
from orn.data_manifests.load import data_root_of, load_listing, load_manifest
from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.records import Listing, Split
from orn.data_manifests.update import draw_folds
from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import file_digest, json_digest
from orn.shared.devices import choose_device
from orn.shared.errors import CheckpointError, ConfigError, PipelineError, TrainingError
from orn.shared.jobs.outputs import (
    LOG_NAME,
    Marker,
    begin_output_folder,
    begun_with,
    check_output_folder,
    check_same_job,
)
from orn.shared.jobs.progress import progress
from orn.shared.jobs.steps import Step, run_lists
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import counted
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.compare.ablation_plan import AblationRequest, AblationRun, planned_runs
from orn.stage2_train.compare.ablation_summary import ablation_summary, write_comparison
from orn.stage2_train.compare.run_results import is_finished, is_measured, read_results
from orn.stage2_train.evaluation.eval_command import evaluate
from orn.stage2_train.evaluation.eval_request import EvalRequest
from orn.stage2_train.evaluation.evaluate import evaluate_folds
from orn.stage2_train.runs.made_from import labels_digest
from orn.stage2_train.runs.open_data import refuse_missing
from orn.stage2_train.runs.phases import count_training_clips
from orn.stage2_train.runs.run_config import config_to_resume
from orn.stage2_train.runs.run_folder import RUN_MARKER
from orn.stage2_train.settings.evaluation_names import FOLDS
from orn.stage2_train.settings.recipe import Recipe, clip_seconds, default_recipe, load_recipe
from orn.stage2_train.settings.resources import wait_passively
from orn.stage2_train.training.initial_weights import (
    ImageNetwork,
    fetch_imagenet_weights,
    find_initial_weights,
    image_network,
    imagenet_to_fetch,
)
from orn.stage2_train.training.train_command import train
from orn.stage2_train.training.train_request import TrainRequest

logger = logging.getLogger(__name__)

_SETTINGS_NAME = "settings.json"
ABLATION_MARKER = Marker(name="ablation.json", mark=b'"format": "object-relation-ablation"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ablation:
    """What is known before the first run."""

    request: AblationRequest
    """The request, with a recipe."""
    manifest: Manifest
    listing: Listing
    """The segments of the data set; a drawn split of folds is not known yet."""
    runs: Sequence[AblationRun]
    """The planned runs, before they are repeated for each fold."""
    folds: Sequence[str]
    """Names of the folds; empty for a single split."""
    changes: Mapping[str, Any]
    """How the labels of folds that the manifest does not have differ from it."""


def ablate(request: AblationRequest) -> dict[str, Any]:
    """Train and evaluate the missing runs, then report on all runs in the folder.

    The test split is not read until all training runs have finished.

    Returns:
        The report, which is also written to OUT/ablation-SPLIT.json and .md.

    Raises:
        ConfigError: if the folder contains runs that are not comparable.
        TrainingError: if runs failed.
    """
    check_output_folder(request.folder, marker=ABLATION_MARKER)
    ablation = _read_ablation(request)
    _check_same_ablation(ablation)
    request = ablation.request
    split = FOLDS if ablation.folds else request.split
    if ablation.folds:
        _carry_out_folds(ablation)
    else:
        carry_out(ablation.runs, request, split="validation")
        if request.test:
            carry_out(ablation.runs, request, split="test")
    report = ablation_summary(read_results(request.folder, split), table=request.table)
    write_comparison(report, request.folder / f"ablation-{split}")
    return report


def _carry_out_folds(ablation: _Ablation) -> None:
    """Train every run on each fold, and evaluate it once on the test splits of all folds."""
    request = ablation.request
    paths = [request.folder / f"{fold}.toml" for fold in ablation.folds]
    write_fold_manifests(request.manifest, paths, ablation.changes)
    carry_out(_in_folds(ablation), request, split="test")
    for run in ablation.runs:
        evaluate_folds(run.folder, [run.folder / fold for fold in ablation.folds])


def _in_folds(ablation: _Ablation) -> list[AblationRun]:
    return [replace(run, fold=fold) for run in ablation.runs for fold in ablation.folds]


def describe_ablation(request: AblationRequest) -> dict[str, Any]:
    """Return what `ablate` would do, as a JSON object."""
    ablation = _read_ablation(request, dry_run=True)
    runs: Sequence[AblationRun] = ablation.runs
    split = "validation"
    if ablation.folds:
        runs, split = _in_folds(ablation), "test"
    left = [run for run in runs if not is_measured(run.folder, split)]
    urls = [imagenet_to_fetch(name) for name in weights_needed(left, ablation.request)]
    return {
        "systems": list(dict.fromkeys(run.system for run in runs)),
        "runs": len(runs),
        "done": len(runs) - len(left),
        "estimated_seconds": _estimated_seconds(ablation, left),
        "to_fetch": [url for url in urls if url is not None],
        "first_command": first_command(left[0], ablation.request) if left else None,
    }


def _estimated_seconds(ablation: _Ablation, left: Sequence[AblationRun]) -> float | None:
    """Return the time to train and evaluate these runs; None if the device was not measured."""
    request, splits = ablation.request, [segment.split for segment in ablation.listing.segments]
    trained, evaluated = splits.count("train"), splits.count("validation")
    if ablation.folds:
        evaluated = len(splits) // len(ablation.folds)
        trained = round((1 - FOLD_VALIDATION) * (len(splits) - evaluated))
    elif request.test:
        evaluated += splits.count("test")
    device, total = choose_device(request.resources.device), 0.0
    for run in left:
        recipe = recipe_of(run, request)
        num_segments = min(trained, recipe.data.train_segments or trained)
        clips = count_training_clips(recipe, num_segments=num_segments)
        for work, number in (("train", clips), ("eval", evaluated)):
            seconds = clip_seconds(recipe, work, number, device=device)
            if seconds is None:
                return None
            total += seconds
    return round(total, 2)


def _read_ablation(request: AblationRequest, *, dry_run: bool = False) -> _Ablation:
    """Read the manifest and its labels, plan the runs, and draw folds that the manifest does not
    have; `dry_run` writes nothing.

    Raises:
        ConfigError: if a recipe is invalid, or a system would be compared on clips used to train
            it.
    """
    manifest = load_manifest(request.manifest)
    listing = load_listing(manifest, request.resources.data_root)
    if request.recipe is None:
        name = default_recipe(manifest.name, num_segments=len(listing.segments))
        request = request.changed(recipe=name)
    folds, changes = requested_folds(request.manifest, folds=request.folds, group=request.group)
    ablation = _Ablation(
        request=request,
        manifest=manifest,
        listing=listing,
        runs=planned_runs(request),
        folds=folds,
        changes=changes,
    )
    _check_recipes(ablation)
    if changes:
        assert isinstance(manifest.labels, TableLabels)
        root = data_root_of(manifest, request.resources.data_root) / manifest.root
        draw_folds(root / manifest.labels.table, manifest.labels, changes, dry_run=dry_run)
    return ablation


def _check_recipes(ablation: _Ablation) -> None:
    """Raise ConfigError for an invalid recipe, or one that trains on clips to be compared."""
    request, runs = ablation.request, ablation.runs
    for run in runs[: len(runs) // request.num_seeds]:
        recipe = load_recipe(
            str(request.recipe),
            num_activities=len(ablation.listing.classes),
            overrides=run.settings,
            system=run.system,
            clip_frames=ablation.manifest.clip_frames,
        )
        if "validation" in recipe.data.training_splits and not request.test:
            raise ConfigError(
                f"{run.title}: cannot be compared on the validation split, since "
                "data.train_with_validation=true; pass --test, or set "
                "data.train_with_validation=false"
            )


def _check_same_ablation(ablation: _Ablation) -> None:
    """Record what all runs in the folder share; reject runs that are not comparable with them. The
    report lists different commits and numbers of threads."""
    request, name = ablation.request, ablation.manifest.name
    resources, weights = request.resources, request.weights
    clips = ClipsRequest(
        manifest=request.manifest, data_root=resources.data_root, out=resources.clips
    )
    refuse_missing(request.manifest, name, resources, store=clips)
    recipe = load_recipe(str(request.recipe), num_activities=len(ablation.listing.classes))
    store = resources.clips_of(name)
    settings: dict[str, Any] = {
        "dataset": name,
        "segments": labels_digest(ablation.listing.segments),
        "recipe": json_digest(to_dict(recipe)),
        "detector": DetectionFolder(resources.shards_of(name)).detector.identity,
        "clip store": "none" if store is None else ClipStore(store).settings.describe(),
        "weights digest": None if weights is None else file_digest(weights, error=CheckpointError),
        **ablation.changes,
    }
    begin_output_folder(request.folder, ABLATION_MARKER)
    recorded = begun_with(request.folder / _SETTINGS_NAME, settings)
    remedy = "pass a different --out; only --set and --vary may differ between runs in a folder"
    check_same_job(recorded, settings, place=request.folder, remedy=remedy)


def steps_of(run: AblationRun, request: AblationRequest, *, split: Split) -> list[Step]:
    """Return the steps that train a run and evaluate it on validation, then on `split`."""
    resources = request.resources.changed(threads=request.resources.num_threads(jobs=request.jobs))
    training = TrainRequest(
        manifest=str(run.out / f"{run.fold}.toml") if run.fold else request.manifest,
        system=run.system,
        seed=run.seed,
        run=run.folder,
        recipe=request.recipe,
        weights=request.weights if _holds_resnet(recipe_of(run, request)) else None,
        overrides=run.settings,
        resources=resources,
    )
    resources = resources.changed(shards=None, clips=None)  # those of the run
    splits: tuple[Split, ...] = (split,)
    if not run.fold and split != "validation":
        splits = ("validation", split)
    evaluations = (EvalRequest(run=run.folder, split=name, resources=resources) for name in splits)
    return [
        Step(
            name="train",
            command=train,
            values={"request": training},
            stale=partial(_unless, is_finished, run.folder),
        ),
        *(
            Step(
                name=f"eval {evaluation.split}",
                command=evaluate,
                values={"request": evaluation},
                stale=partial(_unless, is_measured, run.folder, evaluation.split),
            )
            for evaluation in evaluations
        ),
    ]


def _unless(is_done: Callable[..., bool], *arguments: object) -> str | None:
    return None if is_done(*arguments) else ""


def first_command(run: AblationRun, request: AblationRequest) -> str:
    """Return the command that trains a run without evaluating it."""
    return steps_of(run, request, split="validation")[0].describe()


def weights_needed(
    runs: Sequence[AblationRun], request: AblationRequest
) -> tuple[ImageNetwork, ...]:
    """Return the 2D networks whose published weights initialize the runs."""
    networks = set()
    for run in runs:
        recipe = recipe_of(run, request)
        file = request.weights if _holds_resnet(recipe) else None
        with suppress(ConfigError):  # a damaged run fails later and does not stop the others
            recorded = config_to_resume(run.folder)
            networks.add(find_initial_weights(recipe, run.folder, recorded, file=file).published)
    return tuple(sorted(name for name in networks if name is not None))


def _holds_resnet(recipe: Recipe) -> bool:
    """Return whether a network can be initialized with ResNet weights.

    C3D, I3D and an object head without visual features cannot.
    """
    return image_network(recipe.model) in ("resnet18", "resnet50")


def recipe_of(run: AblationRun, request: AblationRequest) -> Recipe:
    """Return the recipe of a run, for any number of activities."""
    return load_recipe(
        str(request.recipe),
        num_activities=2,
        overrides=run.settings,
        system=run.system,
        clip_frames=2,
    )


def carry_out(runs: Sequence[AblationRun], request: AblationRequest, *, split: Split) -> None:
    """Train runs and evaluate them on a split, `request.jobs` at a time.

    Ctrl-C and SIGTERM also stop training; the next call resumes from the checkpoints.

    Raises:
        CheckpointError: if initial weights cannot be downloaded.
        TrainingError: if runs failed, after the others have finished; lists their logs.
    """
    left = {run.folder: run for run in runs if not is_measured(run.folder, split)}
    for name in weights_needed(list(left.values()), request):
        fetch_imagenet_weights(name)
    wait_passively()  # inherited by the processes
    failures: list[str] = []

    def ended(folder: Path, error: PipelineError | None) -> None:
        title = left[folder].title
        bar.advance(note=title)
        if error is not None:
            failures.append(f"{title}: {error}, see {folder / LOG_NAME}")
            logger.warning("%s failed; continuing with the other runs", title)

    with progress(f"ablate, {split}", total=len(left), unit="runs") as bar:
        lists = {folder: steps_of(run, request, split=split) for folder, run in left.items()}
        for folder in lists:
            begin_output_folder(folder, RUN_MARKER)
        run_lists(lists, at_once=request.jobs, ended=ended)
    if failures:
        raise TrainingError(
            f"{len(failures)} of {counted(len(left), 'run')} failed: {'; '.join(failures)}; run "
            "the same command again to retry them"
        )
