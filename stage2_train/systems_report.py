"""The lists behind `orn systems` and `orn model summary`, as plain values and as text."""

from typing import Any

from shared.text_table import columns, facts
from stage2_train.model.summary import NetworkSummary, count_parameters, summarise_network
from stage2_train.systems import SYSTEMS, System
from stage2_train.training.recipe import Recipe, load_recipe

__all__ = ["describe_systems", "summarise_model", "summary_text", "systems_text"]

SIZES = "ablation_resnet18"
"""The recipe whose sizes parameters are counted at: that of Tables 2 and 5."""
_NUM_ACTIVITIES = {1: 30, 2: 125, 3: 174, 4: 125, 5: 174}
"""A by table: of VLOG in 1, of EPIC in 2 and 4, of Something-Something (v2) in 3 and 5."""
DEFAULT_FRAMES = 8
"""T of `orn model summary` where the recipe leaves it to the data set."""


def describe_systems(table: int | None = None) -> list[dict[str, Any]]:
    """One plain record a system, those of one table or all."""
    return [_describe(system) for system in SYSTEMS if table in (None, *system.tables)]


def _describe(system: System) -> dict[str, Any]:
    num_activities = _NUM_ACTIVITIES[system.table]
    recipe = load_recipe(SIZES, num_activities=num_activities, system=system.name)
    return {
        "name": system.name,
        "title": system.title,
        "table": system.table,
        "row": system.row,
        "tables": list(system.tables),
        "heads": recipe.model.heads,
        "architecture": recipe.model.architecture,
        "parameters": count_parameters(recipe.model),
        "num_activities": num_activities,
        "settings": system.settings,
        "paper": [
            {
                "table": figure.table,
                "row": figure.row,
                "dataset": figure.dataset,
                "metric": "map" if figure.dataset == "vlog" else "top1",
                "percent": float(figure.printed),
                "printed": figure.printed,
            }
            for figure in system.figures
        ],
    }


def systems_text(systems: list[dict[str, Any]], table: int | None = None) -> str:
    """One line a system; figures are those of `table`, or of the table that introduces it."""
    header = ("system", "table", "row", "heads", "parameters", "epic", "vlog", "something", "")
    rows = [header]
    for system in systems:
        number = system["table"] if table is None else table
        figures = [figure for figure in system["paper"] if figure["table"] == number]
        printed = {figure["dataset"]: figure["printed"] for figure in figures}
        row = next((figure["row"] for figure in figures), system["row"])
        rows.append(
            (
                system["name"],
                str(number),
                str(row),
                system["heads"],
                f"{system['parameters']:,}",
                *(printed.get(dataset, "-") for dataset in ("epic", "vlog", "something")),
                system["title"],
            )
        )
    return columns(rows)


def summarise_model(recipe: Recipe) -> dict[str, Any]:
    """The network of a recipe, layer by layer, for one clip as the recipe makes it."""
    num_frames = recipe.model.num_frames or recipe.data.clip_frames or DEFAULT_FRAMES
    num_slots = recipe.data.max_objects + recipe.model.background_object
    summary = summarise_network(
        recipe.model,
        crop=recipe.data.crop,
        feature_cells=recipe.feature_cells,
        num_frames=num_frames,
        num_slots=num_slots,
    )
    return {
        "architecture": recipe.model.architecture,
        "heads": recipe.model.heads,
        "clip": [num_frames, 3, *recipe.data.crop],
        "objects": num_slots,
        "num_activities": recipe.model.num_activities,
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "layers": _layers(summary),
    }


def _layers(summary: NetworkSummary) -> list[dict[str, Any]]:
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "output": list(layer.output),
            "parameters": layer.parameters,
            "multiply_adds": layer.multiply_adds,
        }
        for layer in summary.layers
    ]


def summary_text(summary: dict[str, Any]) -> str:
    """A line a layer, then what is counted."""
    rows = [("layer", "kind", "output", "parameters", "multiply-adds")]
    for layer in summary["layers"]:
        output = " x ".join(str(length) for length in layer["output"])
        counts = f"{layer['parameters']:,}", f"{layer['multiply_adds']:,}"
        rows.append((layer["name"], layer["kind"], output, *counts))
    frames, _, height, width = summary["clip"]
    work = sum(layer["multiply_adds"] for layer in summary["layers"])
    clip = f"{frames} frames of {height} x {width}, {summary['objects']} objects in each"
    return "\n".join(
        [
            columns(rows),
            "",
            facts(
                [
                    ("clip", clip),
                    ("parameters", f"{summary['parameters']:,}"),
                    ("multiply-adds", f"{summary['multiply_adds']:,}"),
                    ("", f"{summary['multiply_adds'] - work:,} of them in no layer"),
                    ("counted", "matrix products and convolutions of one clip in evaluation"),
                ]
            ),
        ]
    )
