"""The job behind `orn ablate`: search, train, measure, compare."""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from shared.atomic_file import write_text
from shared.config_file import to_toml
from shared.errors import ConfigError
from shared.manifests.load import load_listing, load_manifest
from shared.shards.reader import DetectionFolder
from stage2_train.ablation.execute import carry_out, is_measured, train_command
from stage2_train.ablation.plan import AblationRequest, AblationRun, planned_runs
from stage2_train.ablation.plot import plot_report
from stage2_train.ablation.report import ablation_report, markdown_table
from stage2_train.ablation.rows import AblationRow, table_rows
from stage2_train.clips.reader import ClipStore
from stage2_train.training.recipe import Recipe, default_recipe, load_recipe

__all__ = ["ablate", "describe_ablation"]

_SETTINGS_NAME = "settings.json"


def ablate(request: AblationRequest) -> dict[str, Any]:
    """Trains and measures what is missing, then compares everything.

    The validation split decides the searched setting; the test split, where it is asked for, is
    read once everything is trained.

    Returns:
        The report, which is also written to OUT/table-TABLE-SPLIT.json and .md, and drawn as .png.

    Raises:
        ConfigError: if the folder holds runs of other settings.
        TrainingError: if runs failed.
    """
    recipe = _recipe(request)
    rows = table_rows(request.table, request.systems, recipe)
    _claim_folder(request, recipe)
    runs = _chosen_runs(request, rows, recipe)
    carry_out(runs, request, split="validation")
    split = "validation"
    if request.test:
        split = "test"
        carry_out(runs, request, split=split)
    report = {
        "table": request.table,
        "searched": None if request.search is None else request.search.key,
        **ablation_report(runs, split=split),
    }
    stem = request.out / f"table-{request.table}-{split}"
    write_text(stem.with_suffix(".json"), json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_text(stem.with_suffix(".md"), markdown_table(report))
    plot_report(report, stem.with_suffix(".png"))
    return report


def describe_ablation(request: AblationRequest) -> dict[str, Any]:
    """What `ablate` would do: its runs, those that are done, and the first command."""
    recipe = _recipe(request)
    rows = table_rows(request.table, request.systems, recipe)
    runs = [run for trial in _search_runs(request, rows, recipe).values() for run in trial]
    if request.search is None:
        runs = list(_chosen_runs(request, rows, recipe))
    left = [run for run in runs if not is_measured(run, "validation")]
    return {
        "systems": [row.name for row in rows],
        "runs": len(runs),
        "done": len(runs) - len(left),
        "more_after_search": 0 if request.search is None else len(request.seeds) - 1,
        "first_command": " ".join(["orn", *train_command(left[0], request)]) if left else None,
    }


def _recipe(request: AblationRequest) -> Recipe:
    """The recipe of all rows, before their own settings."""
    manifest = load_manifest(request.manifest)
    return load_recipe(
        request.recipe or default_recipe(manifest.name),
        num_activities=len(load_listing(manifest, request.data_root).classes),
        overrides=request.overrides,
    )


def _claim_folder(request: AblationRequest, recipe: Recipe) -> None:
    """Records what the folder's runs have in common, so that runs of other settings never mix."""
    dataset = load_manifest(request.manifest).name
    detector = DetectionFolder(request.shards or Path("shards") / dataset).detector
    weights = request.weights
    wanted = {
        "dataset": dataset,
        "settings": list(request.overrides),
        "recipe": f"sha256:{hashlib.sha256(to_toml(recipe).encode()).hexdigest()}",
        "detector": detector.title,
        "clip store": "none" if request.no_clip_store else _store_settings(request, dataset),
        "weights": None if weights is None else weights.name,
    }
    path = request.out / _SETTINGS_NAME
    if not path.is_file():
        write_text(path, json.dumps(wanted, indent=2) + "\n")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ConfigError(
                f"{request.out}: holds runs whose {name} is {found.get(name)}, {value} was asked "
                "for; give another --out, or the same settings to go on with these"
            )


def _store_settings(request: AblationRequest, dataset: str) -> str:
    return ClipStore(request.clips or Path("clips") / f"{dataset}.h5").settings.describe()


def _search_runs(
    request: AblationRequest, rows: Sequence[AblationRow], recipe: Recipe
) -> dict[str, tuple[AblationRun, ...]]:
    """The runs of the first seed of every system, by the value that is tried."""
    if request.search is None:
        return {}
    names = [row.name for row in rows]
    return {
        value: planned_runs(
            request,
            rows,
            recipe_backbone=recipe.model.backbone,
            seeds=request.seeds[:1],
            value_of=dict.fromkeys(names, value),
        )
        for value in request.search.values
    }


def _chosen_runs(
    request: AblationRequest, rows: Sequence[AblationRow], recipe: Recipe
) -> tuple[AblationRun, ...]:
    """The runs to compare; where a setting is searched, it is searched first."""
    plan = partial(planned_runs, request, rows, recipe_backbone=recipe.model.backbone)
    if request.search is None:
        return plan(seeds=request.seeds)
    trials = _search_runs(request, rows, recipe)
    carry_out([run for runs in trials.values() for run in runs], request, split="validation")
    value_of: dict[str, str] = {}
    best: dict[str, float] = {}
    for value, runs in trials.items():
        for row in ablation_report(runs, split="validation")["systems"]:
            name, mean = row["system"], row["mean"]
            if name not in best or mean > best[name]:
                best[name], value_of[name] = mean, value
    return plan(seeds=request.seeds, value_of=value_of)
