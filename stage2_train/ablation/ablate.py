"""The job of `orn ablate`: search or vary a setting, train, evaluate, compare."""

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orn.shared.config.bounded import file_digest, read_json
from orn.shared.config.files import to_toml
from orn.shared.environment import git_commit
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_files, check_output_folder
from orn.shared.jobs.same_job import check_same_job, differences
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.shards.reader import DetectionFolder
from orn.stage2_train.ablation.execute import (
    carry_out,
    first_command,
    is_measured,
    weights_needed,
)
from orn.stage2_train.ablation.figures import (
    RunResult,
    late_fusion_results,
    read_run,
    run_seconds,
)
from orn.stage2_train.ablation.plan import (
    LATE_FUSION,
    AblationRow,
    AblationRun,
    planned_runs,
    table_rows,
)
from orn.stage2_train.ablation.report import ablation_report, joined_report, write_report
from orn.stage2_train.ablation.request import AblationRequest
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.model.image_weights import imagenet_to_fetch
from orn.stage2_train.recipe import Recipe, default_recipe, load_recipe
from orn.stage2_train.runs.run_folder import METRICS_NAME, read_jsonl
from orn.stage2_train.training.prepare import require_prepared

logger = logging.getLogger(__name__)

_SETTINGS_NAME = "settings.json"
_MAY_DIFFER = ("commit", "threads")
"""Settings that may differ between the runs in a folder; a difference causes a warning."""


def ablate(request: AblationRequest) -> dict[str, Any]:
    """Train and evaluate the missing runs, then report on all runs.

    If a setting is searched, its value is selected on the validation split. The test split is not
    read until all training runs have finished.

    Returns:
        The report, which is also written to OUT/NAME-SPLIT.json, .md, .png and .csv (one row per
        value). For a curve, the report on all its points, written to OUT/curve-NAME-SPLIT.

    Raises:
        ConfigError: if the folder contains runs with different settings.
        TrainingError: if runs failed.
    """
    check_output_folder(request.folder, ours=["*"])  # _claim_folder checks that the runs match
    recipe = _recipe(request)
    rows = table_rows(request.table, request.systems, recipe)
    _check_names(request, rows)
    _check_split(request, rows, recipe)
    if request.points:
        kept = request.folder / f"{request.report_name}.json"
        check_output_files([kept], reads=[path for _, path in request.points])
        joined_report("points", dict(request.points))  # fail early if they are not comparable
    _claim_folder(request, recipe)
    runs = _searched_runs(request, rows) if request.search else _first_runs(request, rows)
    for split in dict.fromkeys(("validation", request.split)):
        carry_out(runs, request, split=split)
    results = _read(runs, request, request.split)
    results += late_fusion_results(results) if request.late_fusion else []
    report = {
        "table": request.table,
        "searched": request.search and request.search.name,
        **ablation_report(results, primary=request.primary, rows={row.name: row for row in rows}),
    }
    settings = {run.row.name: list(run.overrides) for run in runs}
    if request.variation is None:
        for row in report["systems"]:
            row["overrides"] = settings.get(row["system"], [])
    stem = request.folder / request.report_name
    write_report(report, stem, over_seconds=request.over_seconds)
    return report if request.curve is None else _curve(request, Path(f"{stem}.json"))


def _curve(request: AblationRequest, own: Path) -> dict[str, Any]:
    """Write and return the joint report on this ablation and the other points of its curve."""
    assert request.curve is not None
    name, value = request.curve
    files = {**dict(request.points), value: own}
    with suppress(ValueError):  # non-numeric values keep their order
        files = dict(sorted(files.items(), key=lambda point: float(point[0])))
    report = joined_report(name, files)
    stem = request.folder / f"curve-{name.replace(' ', '-')}-{request.split}"
    write_report(report, stem, over_seconds=request.over_seconds)
    return report


def describe_ablation(request: AblationRequest) -> dict[str, Any]:
    """Return what `ablate` would do, as a JSON object.

    The time for the remaining runs is estimated from finished runs of the same kind.
    """
    recipe = _recipe(request)
    rows = table_rows(request.table, request.systems, recipe)
    _check_names(request, rows)
    _check_split(request, rows, recipe)
    runs = list({run.folder: run for run in _first_runs(request, rows)}.values())
    left = [run for run in runs if not is_measured(run, "validation")]
    known = [seconds for seconds in map(_expected_seconds, left) if seconds is not None]
    urls = [imagenet_to_fetch(name) for name in weights_needed(left, request)]
    return {
        "systems": [row.name for row in rows],
        "runs": len(runs),
        "done": len(runs) - len(left),
        "more_after_search": 0 if request.search is None else len(request.seeds) - 1,
        "seconds_left": round(sum(known) / request.jobs),
        "left_of_unknown_length": len(left) - len(known),
        "to_fetch": [url for url in urls if url is not None],
        "first_command": first_command(left[0], request) if left else None,
    }


def _expected_seconds(run: AblationRun) -> float | None:
    """Return the mean training time, in seconds, of the other seeds; None if none has finished."""
    found = [
        run_seconds(read_jsonl(path.parent / METRICS_NAME))
        for path in sorted(run.folder.parent.glob("seed*/eval-validation.json"))
    ]
    known = [seconds for seconds in found if seconds is not None]
    return sum(known) / len(known) if known else None


def _recipe(request: AblationRequest) -> Recipe:
    """Return the recipe shared by all rows, without the overrides of individual rows."""
    listing = load_listing(load_manifest(request.manifest), request.resources.root)
    return load_recipe(
        _recipe_name(request),
        num_activities=len(listing.classes),
        overrides=request.overrides,
    )


def _recipe_name(request: AblationRequest) -> str:
    return request.recipe or default_recipe(load_manifest(request.manifest).name)


def _check_names(request: AblationRequest, rows: Sequence[AblationRow]) -> None:
    """Raise ConfigError if a variant or primary contrast refers to a system that is not trained."""
    names = [row.name for row in rows]
    variants = request.variation.variants if request.variation else ()
    for variant in variants:
        for name in variant.systems:
            if name not in names:
                raise ConfigError(
                    f"--variant {variant.name}: expected a system ({', '.join(names)}) after @, "
                    f"got {name}"
                )
    if request.late_fusion and not {"activity-head", "object-head"} <= set(names):
        raise ConfigError(
            "--late-fusion: requires the systems activity-head and object-head, got "
            f"{', '.join(names)}; add them to --systems"
        )
    names += [LATE_FUSION] if request.late_fusion else []
    values = [variant.name for variant in variants]
    for pair in request.primary:
        for side in pair:
            name, at, value = side.partition("@")
            if name not in names or (at and value not in values):
                raise ConfigError(
                    f"--primary {':'.join(pair)}: expected two of {', '.join(names)}"
                    f"{', with @ and one of ' + ', '.join(values) if values else ''}, got {side}"
                )


def _check_split(request: AblationRequest, rows: Sequence[AblationRow], recipe: Recipe) -> None:
    """Raise ConfigError if systems would be compared or selected on clips used to train them."""
    if request.test and request.search is None:
        return
    name, num_activities = _recipe_name(request), recipe.model.num_activities
    for run in _first_runs(request.changed(num_seeds=1), rows):
        own = load_recipe(name, num_activities=num_activities, overrides=run.overrides)
        if "validation" in own.data.training_splits:
            other = "" if request.search else "pass --test, or "
            raise ConfigError(
                f"{run.title}: cannot be compared on the validation split, since "
                f"data.train_with_validation=true; {other}set data.train_with_validation=false"
            )


def _claim_folder(request: AblationRequest, recipe: Recipe) -> None:
    """Record the settings shared by all runs in the folder; reject runs with other settings.

    A different commit or number of threads only causes a warning.
    """
    dataset, resources = load_manifest(request.manifest).name, request.resources
    require_prepared(request.manifest, dataset, resources)
    detector = DetectionFolder(resources.shards_of(dataset)).detector
    store, weights = resources.clips_of(dataset), request.weights
    wanted: dict[str, Any] = {
        "dataset": dataset,
        "settings": dict(text.split("=", 1) for text in request.overrides),
        "recipe": f"sha256:{hashlib.sha256(to_toml(recipe).encode()).hexdigest()}",
        "detector": detector.identity,
        "clip store": "none" if store is None else ClipStore(store).settings.describe(),
        "weights digest": None if weights is None else file_digest(weights, error=CheckpointError),
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
    remedy = "pass a different --out, or the same settings to continue these runs"
    check_same_job(found, wanted, place=request.folder, remedy=remedy)


def _read(runs: Sequence[AblationRun], request: AblationRequest, split: str) -> list[RunResult]:
    setting = request.variation.name if request.variation else ""
    return [read_run(run, split=split, floor=request.floor, setting=setting) for run in runs]


def _first_runs(request: AblationRequest, rows: Sequence[AblationRow]) -> tuple[AblationRun, ...]:
    """Return the runs known in advance: the trials of a search, or all runs without a search."""
    if request.search is None:
        return planned_runs(request, rows)
    return planned_runs(request, rows, request.search.variants, seeds=request.seeds[:1])


def _searched_runs(
    request: AblationRequest, rows: Sequence[AblationRow]
) -> tuple[AblationRun, ...]:
    """Return the runs of each system's best variant, selected on validation with the first seed."""
    assert request.search is not None
    trials = _first_runs(request, rows)
    carry_out(trials, request, split="validation")
    results = _read(trials, request, "validation")
    runs: list[AblationRun] = []
    for row in rows:
        own = [result for result in results if result.system == row.name]
        best = max(own, key=lambda result: result.percent())
        (variant,) = (variant for variant in request.search.variants if variant.name == best.value)
        runs += [replace(run, value="") for run in planned_runs(request, [row], [variant])]
    return tuple(runs)
