"""`orn ablate`: search or vary, train, measure, compare."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.config.bounded import read_json, shown
from shared.config.files import config_from_dict, to_toml
from shared.jobs.atomic_file import write_text
from shared.jobs.same_job import check_same_job
from shared.manifests.load import load_listing, load_manifest
from shared.shards.reader import DetectionFolder
from stage2_train.ablation.curve import curve_report
from stage2_train.ablation.execute import carry_out, first_command, is_measured
from stage2_train.ablation.plan import AblationRequest, AblationRun, SettingValues, planned_runs
from stage2_train.ablation.report import ablation_report
from stage2_train.ablation.report_files import write_report
from stage2_train.ablation.rows import AblationRow, table_rows
from stage2_train.frames.reader import ClipStore
from stage2_train.recipe import Recipe, default_recipe, load_recipe
from stage2_train.training.prepare import require_prepared

__all__ = ["ablate", "describe_ablation"]

_SETTINGS_NAME = "settings.json"


class _FolderSettings(BaseModel):
    """What a folder of runs records; what else is in it is compared, too."""

    model_config = ConfigDict(strict=True, extra="allow")

    settings: list[Annotated[str, Field(pattern="=")]]


def ablate(request: AblationRequest) -> dict[str, Any]:
    """Trains and measures what is missing, then compares everything.

    The validation split decides the searched setting; the test split, where it is asked for, is
    read once everything is trained.

    Returns:
        The report, which is also written to OUT/table-TABLE-SPLIT.json and .md, and drawn as .png;
        where a setting is varied, one report a value, as OUT/table-TABLE-KEY-SPLIT. A name that
        was asked for stands in place of table-TABLE and table-TABLE-KEY.

    Raises:
        ConfigError: if the folder holds runs of other settings.
        TrainingError: if runs failed.
    """
    recipe = _recipe(request)
    rows = table_rows(request.table, request.systems, recipe)
    _claim_folder(request, recipe)
    runs_of = _runs_by_value(request, rows)
    runs = [run for group in runs_of.values() for run in group]
    carry_out(runs, request, split="validation")
    split = "validation"
    if request.test:
        split = "test"
        carry_out(runs, request, split=split)
    reports = {value: ablation_report(group, split=split) for value, group in runs_of.items()}
    if request.vary is None:
        searched = None if request.search is None else request.search.key
        (found,) = reports.values()
        report = {"table": request.table, "searched": searched, **found}
        name = f"table-{request.table}"
    else:
        report = {"table": request.table, **curve_report(request.vary.key, reports)}
        name = f"table-{request.table}-{request.vary.key.rpartition('.')[2]}"
    write_report(report, request.out / f"{request.name or name}-{split}")
    return report


def describe_ablation(request: AblationRequest) -> dict[str, Any]:
    """What `ablate` would do: its runs, those that are done, and the first command."""
    recipe = _recipe(request)
    rows = table_rows(request.table, request.systems, recipe)
    planned = (
        _runs_by_value(request, rows)
        if request.search is None
        else _runs_with(request.search, request, rows, seeds=request.seeds[:1])
    )
    runs = [run for group in planned.values() for run in group]
    left = [run for run in runs if not is_measured(run, "validation")]
    return {
        "systems": [row.name for row in rows],
        "runs": len(runs),
        "done": len(runs) - len(left),
        "more_after_search": 0 if request.search is None else len(request.seeds) - 1,
        "first_command": first_command(left[0], request) if left else None,
    }


def _recipe(request: AblationRequest) -> Recipe:
    """The recipe of all rows, before their own settings."""
    manifest = load_manifest(request.manifest)
    return load_recipe(
        request.recipe or default_recipe(manifest.name),
        num_activities=len(load_listing(manifest, request.resources.root).classes),
        overrides=request.overrides,
    )


def _claim_folder(request: AblationRequest, recipe: Recipe) -> None:
    """Records what the folder's runs have in common, so that runs of other settings never mix."""
    dataset, resources = load_manifest(request.manifest).name, request.resources
    require_prepared(request.manifest, dataset, resources)
    detector = DetectionFolder(resources.shards_of(dataset)).detector
    store, weights = resources.clips_of(dataset), request.weights
    wanted: dict[str, Any] = {
        "dataset": dataset,
        "settings": list(request.overrides),
        "recipe": f"sha256:{hashlib.sha256(to_toml(recipe).encode()).hexdigest()}",
        "detector": detector.title,
        "clip store": "none" if store is None else ClipStore(store).settings.describe(),
        "weights": None if weights is None else weights.name,
    }
    path = request.out / _SETTINGS_NAME
    if not path.is_file():
        write_text(path, json.dumps(wanted, indent=2) + "\n")
        return
    found = config_from_dict(read_json(path), _FolderSettings, source=shown(path)).model_dump()
    found, wanted = (
        each | {"settings": dict(text.split("=", 1) for text in each["settings"])}
        for each in (found, wanted)
    )
    remedy = "give another --out, or the same settings to go on with these runs"
    check_same_job(found, wanted, place=request.out, remedy=remedy)


def _runs_with(
    setting: SettingValues,
    request: AblationRequest,
    rows: Sequence[AblationRow],
    *,
    seeds: Sequence[int],
) -> dict[str | None, tuple[AblationRun, ...]]:
    """The runs of every system with these seeds, by the value of a setting."""
    return {
        value: planned_runs(
            request,
            rows,
            seeds=seeds,
            setting=setting.key,
            value_of={row.name: value for row in rows},
        )
        for value in setting.values
    }


def _runs_by_value(
    request: AblationRequest, rows: Sequence[AblationRow]
) -> dict[str | None, tuple[AblationRun, ...]]:
    """The runs to compare with each other, by the value of what is varied; None for nothing. Where
    a setting is searched, it is searched first."""
    if request.vary is not None:
        return _runs_with(request.vary, request, rows, seeds=request.seeds)
    if request.search is None:
        return {None: planned_runs(request, rows, seeds=request.seeds)}
    trials = _runs_with(request.search, request, rows, seeds=request.seeds[:1])
    carry_out([run for runs in trials.values() for run in runs], request, split="validation")
    value_of: dict[str, str] = {}
    best: dict[str, float] = {}
    for value, runs in trials.items():
        for row in ablation_report(runs, split="validation")["systems"]:
            name, mean = row["system"], row["mean"]
            if name not in best or mean > best[name]:
                best[name], value_of[name] = mean, str(value)
    setting = request.search.key
    runs = planned_runs(request, rows, seeds=request.seeds, setting=setting, value_of=value_of)
    return {None: runs}
