"""The job of `orn ablate`: train, evaluate and compare."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from orn.data_manifests.load import folds_of, load_listing, load_manifest
from orn.data_manifests.records import Listing
from orn.data_manifests.update import write_fold_manifests
from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import json_digest
from orn.shared.environment import wait_passively
from orn.shared.errors import ConfigError, PipelineError, TrainingError
from orn.shared.jobs.outputs import (
    Marker,
    begin_output_folder,
    begun_with,
    check_output_folder,
    check_same_job,
)
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_steps import Step, run_steps
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import counted
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import evaluate
from orn.stage2_train.evaluation.evaluate_folds import evaluate_folds
from orn.stage2_train.runs.open_data import refuse_missing
from orn.stage2_train.runs.run_config import labels_digest
from orn.stage2_train.runs.run_folder import RUN_MARKER
from orn.stage2_train.settings.names import FOLDS
from orn.stage2_train.settings.recipe import default_recipe, load_recipe
from orn.stage2_train.training.train import train
from orn.stage2_train.training.train_config import TrainConfig
from orn.steps.ablation_plan import AblationConfig, AblationRun, planned_runs
from orn.steps.ablation_summary import (
    ablation_summary,
    read_results,
    stale_result,
    stale_training,
    write_comparison,
)

logger = logging.getLogger(__name__)

_SETTINGS_NAME = "settings.json"
ABLATION_MARKER = Marker(name="ablation.json", mark=b'"format": "object-relation-ablation"')


def ablate(config: AblationConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Train and evaluate the missing runs, then compare all runs in the folder.

    Returns:
        The comparison, which is also written to OUT/ablation-SPLIT.json and .md.

    Raises:
        ConfigError: if the folder contains runs that are not comparable.
        TrainingError: if runs failed.
    """
    check_output_folder(config.folder, marker=ABLATION_MARKER)
    config, listing, runs = _planned(config)
    _check_same_ablation(config, listing)
    folds = folds_of(config.manifest)
    write_fold_manifests(config.manifest, [config.folder / f"{fold}.toml" for fold in folds])
    _carry_out(runs, config, reporter)
    if folds:
        for folder in dict.fromkeys(replace(run, fold="").folder for run in runs):
            evaluate_folds(folder, [folder / fold for fold in folds])
    split = FOLDS if folds else config.split
    comparison = ablation_summary(read_results(config.folder, split), table=config.table)
    write_comparison(comparison, config.folder / f"ablation-{split}")
    return comparison


def describe_ablation(config: AblationConfig) -> dict[str, Any]:
    """Return what `ablate` would do, as a JSON object."""
    config, _, runs = _planned(config)
    remaining = remaining_steps(runs, config)
    return {
        "systems": list(dict.fromkeys(run.system for run in runs)),
        "runs": len(runs),
        "done": len(runs) - len(remaining),
        "steps": [step.name for steps in remaining.values() for step in steps],
    }


def _planned(config: AblationConfig) -> tuple[AblationConfig, Listing, list[AblationRun]]:
    """Return the config with its recipe, the labels of the data set, and the runs.

    Raises:
        ConfigError: if a recipe is invalid, the manifest does not have the requested folds, or a
            system would be compared on clips used to train it.
    """
    manifest = load_manifest(config.manifest)
    listing, folds = load_listing(manifest, config.resources.data_root), folds_of(manifest)
    if config.recipe is None:
        name = default_recipe(manifest.name, num_segments=len(listing.segments))
        config = replace(config, recipe=name)
    planned = planned_runs(config)
    for run in (run for run in planned if not run.seed):
        recipe = load_recipe(
            str(config.recipe),
            num_activities=len(listing.classes),
            overrides=run.settings,
            system=run.system,
            clip_frames=manifest.clip_frames,
        )
        if not folds and config.split in recipe.data.training_splits:
            raise ConfigError(
                f"{run.title}: cannot be compared on the validation split, since "
                "data.train_with_validation=true; pass --test, or set "
                "data.train_with_validation=false"
            )
    return config, listing, [replace(run, fold=fold) for run in planned for fold in folds or ("",)]


def _check_same_ablation(config: AblationConfig, listing: Listing) -> None:
    """Record what all runs in the folder share; reject runs that are not comparable with them. The
    comparison lists different commits."""
    name, resources = load_manifest(config.manifest).name, config.resources
    clips = ClipsConfig(
        manifest=config.manifest, data_root=resources.data_root, out=resources.clips
    )
    refuse_missing(config.manifest, name, resources, store=clips)
    recipe = load_recipe(str(config.recipe), num_activities=len(listing.classes))
    settings: dict[str, Any] = {
        "dataset": name,
        "segments": labels_digest(listing.segments),
        "recipe": json_digest(to_dict(recipe)),
        "detector": DetectionFolder(resources.shards_of(name)).detector.identity,
        "clip store": ClipStore(resources.clips_of(name)).settings.describe(),
    }
    begin_output_folder(config.folder, ABLATION_MARKER)
    recorded = begun_with(config.folder / _SETTINGS_NAME, settings)
    remedy = "pass a different --out; only --set may differ between runs in a folder"
    check_same_job(recorded, settings, where=config.folder, remedy=remedy)


def remaining_steps(
    runs: Sequence[AblationRun], config: AblationConfig
) -> dict[AblationRun, list[Step]]:
    """Return the steps of each run whose evaluation is not current."""
    steps = {run: steps_of(run, config) for run in runs}
    return {run: own for run, own in steps.items() if not own[-1].is_current()}


def steps_of(run: AblationRun, config: AblationConfig) -> list[Step]:
    """Return the steps that train a run and evaluate it."""
    training = TrainConfig(
        manifest=str(run.out / f"{run.fold}.toml") if run.fold else config.manifest,
        system=run.system,
        seed=run.seed,
        run=run.folder,
        recipe=config.recipe,
        overrides=run.settings,
        resources=config.resources,
    )
    evaluation = EvalConfig(
        run=run.folder,
        split="test" if run.fold else config.split,
        resources=replace(config.resources, shards=None, clips=None),  # those of the run
    )
    return [
        Step(
            name=f"train {run.title}",
            function=train,
            config=training,
            stale=partial(stale_training, run.folder),
        ),
        Step(
            name=f"eval {run.title}",
            function=evaluate,
            config=evaluation,
            stale=partial(stale_result, run.folder, evaluation.split),
        ),
    ]


def _carry_out(runs: Sequence[AblationRun], config: AblationConfig, reporter: Reporter) -> None:
    """Train runs and evaluate them, each in processes of its own; the next call resumes them.

    Raises:
        TrainingError: if runs failed, after the others have finished.
    """
    wait_passively()  # inherited by the processes
    failed = []
    for run, steps in remaining_steps(runs, config).items():
        begin_output_folder(run.folder, RUN_MARKER)
        try:
            run_steps(steps, reporter)
        except PipelineError as err:
            failed.append(run.title)
            logger.warning("%s: %s; continuing with the other runs", run.title, err)
    if failed:
        raise TrainingError(
            f"{len(failed)} of {counted(len(runs), 'run')} failed: {'; '.join(failed)}; run the "
            "same command again to retry them"
        )
