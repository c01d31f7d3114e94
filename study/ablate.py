"""The job of `orn ablate`: train, evaluate and compare."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orn.shared.config.toml_files import to_toml
from orn.shared.data_files import file_digest, read_json
from orn.shared.environment import git_commit
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.same_job import check_same_job, differences
from orn.shared.manifests.fold_files import draw_folds, requested_folds, write_fold_manifests
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.manifests.manifest import TableLabels
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.evaluation.pooled import evaluate_folds
from orn.stage2_train.model.image_weights import imagenet_to_fetch
from orn.stage2_train.runs.eval_file import FOLDS
from orn.stage2_train.settings.recipe import default_recipe, load_recipe
from orn.stage2_train.training.training_plan import require_prepared
from orn.study.ablate_request import AblationRequest
from orn.study.ablation_plan import AblationRun, planned_runs
from orn.study.ablation_report import ablation_report, write_report
from orn.study.ablation_runs import (
    carry_out,
    first_command,
    is_measured,
    weights_needed,
)
from orn.study.run_results import read_results

logger = logging.getLogger(__name__)

_SETTINGS_NAME = "settings.json"
_MAY_DIFFER = ("commit", "threads")
"""Settings that may differ between the runs in a folder; a difference causes a warning."""


def ablate(request: AblationRequest) -> dict[str, Any]:
    """Train and evaluate the missing runs, then report on all runs in the folder.

    The test split is not read until all training runs have finished.

    Returns:
        The report, which is also written to OUT/ablation-SPLIT.json, .md and .csv.

    Raises:
        ConfigError: if the folder contains runs that are not comparable.
        TrainingError: if runs failed.
    """
    request = _with_recipe(request)
    check_output_folder(request.folder, ours=["*"])  # _claim_folder checks that the runs match
    runs = _checked_runs(request)
    folds, changes = _folds(request)
    _claim_folder(request, changes)
    split: str = request.split
    if folds:
        _carry_out_folds(runs, request, folds, changes)
        split = FOLDS
    else:
        for each in dict.fromkeys(("validation", request.split)):
            carry_out(runs, request, split=each)
    report = ablation_report(read_results(request.folder, split), table=request.table)
    write_report(report, request.folder / f"ablation-{split}")
    return report


def _carry_out_folds(
    runs: Sequence[AblationRun],
    request: AblationRequest,
    folds: Sequence[str],
    changes: Mapping[str, Any],
) -> None:
    """Train every run on each fold, and evaluate it once on the test splits of all folds."""
    paths = [request.folder / f"{fold}.toml" for fold in folds]
    write_fold_manifests(request.manifest, paths, changes)
    parts = [replace(run, fold=fold) for run in runs for fold in folds]
    carry_out(parts, request, split="test")
    for run in runs:
        evaluate_folds(run.folder, [run.folder / fold for fold in folds])


def describe_ablation(request: AblationRequest) -> dict[str, Any]:
    """Return what `ablate` would do, as a JSON object."""
    request = _with_recipe(request)
    runs = _checked_runs(request)
    (folds, _), split = _folds(request, dry_run=True), "validation"
    if folds:
        runs, split = [replace(run, fold=fold) for run in runs for fold in folds], "test"
    left = [run for run in runs if not is_measured(run.folder, split)]
    urls = [imagenet_to_fetch(name) for name in weights_needed(left, request)]
    return {
        "systems": list(dict.fromkeys(run.system for run in runs)),
        "runs": len(runs),
        "done": len(runs) - len(left),
        "to_fetch": [url for url in urls if url is not None],
        "first_command": first_command(left[0], request) if left else None,
    }


def _folds(
    request: AblationRequest, *, dry_run: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the folds as `requested_folds` does; draw those that the manifest does not have."""
    folds, changes = requested_folds(request.manifest, folds=request.folds, group=request.group)
    if changes:
        manifest = load_manifest(request.manifest)
        assert isinstance(manifest.labels, TableLabels)
        table = request.resources.root / manifest.root / manifest.labels.table
        draw_folds(table, changes, dry_run=dry_run)
    return folds, changes


def _with_recipe(request: AblationRequest) -> AblationRequest:
    """Return the request with the data set's default recipe, unless it has one."""
    if request.recipe is not None:
        return request
    manifest = load_manifest(request.manifest)
    num_segments = len(load_listing(manifest, request.resources.root).segments)
    return request.changed(recipe=default_recipe(manifest.name, num_segments=num_segments))


def _checked_runs(request: AblationRequest) -> Sequence[AblationRun]:
    """Return the planned runs.

    Raises:
        ConfigError: if a recipe is invalid, or a system would be compared on clips used to train
            it.
    """
    runs = planned_runs(request)
    manifest = load_manifest(request.manifest)
    num_activities = len(load_listing(manifest, request.resources.root).classes)
    for run in runs[: len(runs) // request.num_seeds]:
        recipe = load_recipe(
            str(request.recipe),
            num_activities=num_activities,
            overrides=run.settings,
            system=run.system,
            clip_frames=manifest.clip_frames,
        )
        if "validation" in recipe.data.training_splits and not request.test:
            raise ConfigError(
                f"{run.title}: cannot be compared on the validation split, since "
                "data.train_with_validation=true; pass --test, or set "
                "data.train_with_validation=false"
            )
    return runs


def _claim_folder(request: AblationRequest, folds: Mapping[str, Any]) -> None:
    """Record what all runs in the folder share; reject runs that are not comparable with them.

    A different commit or number of threads only causes a warning.

    Args:
        request: the runs.
        folds: how their folds differ from the manifest.
    """
    manifest, resources = load_manifest(request.manifest), request.resources
    require_prepared(request.manifest, manifest.name, resources)
    recipe = load_recipe(
        str(request.recipe),
        num_activities=len(load_listing(manifest, resources.root).classes),
    )
    detector = DetectionFolder(resources.shards_of(manifest.name)).detector
    store, weights = resources.clips_of(manifest.name), request.weights
    wanted: dict[str, Any] = {
        "dataset": manifest.name,
        "recipe": f"sha256:{hashlib.sha256(to_toml(recipe).encode()).hexdigest()}",
        "detector": detector.identity,
        "clip store": "none" if store is None else ClipStore(store).settings.describe(),
        "weights digest": None if weights is None else file_digest(weights, error=CheckpointError),
        **folds,
        "commit": git_commit(),
        "threads": resources.num_threads(jobs=request.jobs),
    }
    path = request.folder / _SETTINGS_NAME
    if not path.is_file():
        write_text(path, json.dumps(wanted, indent=2) + "\n")
        return
    found = read_json(path)
    if not isinstance(found, dict):
        raise ConfigError(
            f"{path}: not a settings file of `orn ablate`; pass a different --out, or remove the "
            "file if the runs in the folder have the same settings"
        )
    for name in _MAY_DIFFER:
        one, other = ({name: each.pop(name, None)} for each in (found, wanted))
        for difference in differences(one, other):
            logger.warning("%s: %s; the report lists both", request.folder, difference)
    remedy = "pass a different --out; only --set and --vary may differ between runs in a folder"
    check_same_job(found, wanted, place=request.folder, remedy=remedy)
