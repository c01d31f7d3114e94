"""The commands `orn systems` and `orn model summary`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from orn.shared.common_options import AsJson, Overrides
from orn.shared.echo import echo_json, echo_report, echo_text
from orn.shared.options import Option, command
from orn.shared.report import Report, Table
from orn.shared.text import counted
from orn.stage2_train.requests import System

if TYPE_CHECKING:
    from orn.stage2_train.recipe import Recipe
    from orn.stage2_train.systems import System as PaperSystem


_SIZES = "ablation_resnet18"
"""Recipe of Tables 2 and 5; parameters are counted for its sizes."""
_NUM_ACTIVITIES = {1: 30, 2: 125, 3: 174, 4: 125, 5: 174}
"""Number of activities A by table: VLOG in 1, EPIC in 2, 4, Something-Something v2 in 3, 5."""


@command("systems")
def systems(
    *,
    table: Annotated[
        Annotated[int, Field(ge=1, le=5)] | None, Option("List only the systems in this table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the systems in the paper's tables with the results in the paper.

    Parameters are counted at the sizes of the recipe ablation_resnet18.
    """
    from orn.stage2_train.systems import SYSTEMS

    described = [_describe(system) for system in SYSTEMS if table in (None, *system.tables)]
    if as_json:
        echo_json({"systems": described})
    else:
        echo_text(_systems_report(described, table).text())


@command("summary")
def summary(
    *,
    recipe: Annotated[str, Option("Name or TOML file.")] = "paper_resnet50",
    system: System = None,
    overrides: Overrides = (),
    num_activities: Annotated[
        int,
        Field(ge=1, le=10**6),
        Option("Number of classes in the data set; the default is for Something-Something."),
    ] = 174,
    as_json: AsJson = False,
) -> None:
    """Print the layers, output shapes, parameters and multiply-adds of a recipe's network.

    If the recipe does not set data.clip_frames, a clip has 8 frames.
    """
    from orn.stage2_train.recipe import load_recipe

    loaded = load_recipe(recipe, num_activities=num_activities, overrides=overrides, system=system)
    described = _summarise(loaded)
    echo_report(described, _summary_report, as_json=as_json)


def _describe(system: "PaperSystem") -> dict[str, Any]:
    """Return a system as a JSON object."""
    from orn.stage2_train.model.summary import count_parameters
    from orn.stage2_train.recipe import load_recipe

    num_activities = _NUM_ACTIVITIES[system.table]
    recipe = load_recipe(_SIZES, num_activities=num_activities, system=system.name)
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


def _systems_report(systems: list[dict[str, Any]], table: int | None) -> Report:
    """Return a table with a row per system and its results in `table`, or in the table that
    introduces it."""
    papers = ("epic", "vlog", "something")
    header = ("system", "table", "row", "heads", "parameters", *papers, "")
    rows = []
    for system in systems:
        number = system["table"] if table is None else table
        figures = {row["dataset"]: row for row in system["paper"] if row["table"] == number}
        row = next(iter(figures.values()), system)["row"]
        printed = (figures[name]["printed"] if name in figures else "-" for name in papers)
        parameters = f"{system['parameters']:,}"
        rows.append(
            (system["name"], str(number), str(row), system["heads"], parameters, *printed,
             system["title"])
        )  # fmt: skip
    return Report(tables=[Table(header=header, rows=rows)])


def _summarise(recipe: "Recipe") -> dict[str, Any]:
    """Return the layers of a recipe's network for one clip, as a JSON object."""
    from orn.stage2_train.model.summary import summarise_network

    num_frames = recipe.data.clip_frames
    num_slots = recipe.data.max_objects + recipe.model.background_object
    found = summarise_network(
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
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
        "layers": [asdict(layer) for layer in found.layers],
    }


def _summary_report(summary: dict[str, Any]) -> Report:
    """Return a table with a row per layer, and the totals."""
    rows = []
    for layer in summary["layers"]:
        output = " x ".join(str(length) for length in layer["output"])
        counts = f"{layer['parameters']:,}", f"{layer['multiply_adds']:,}"
        rows.append((layer["name"], layer["kind"], output, *counts))
    frames, _, height, width = summary["clip"]
    work = sum(layer["multiply_adds"] for layer in summary["layers"])
    totals = [
        (
            "clip",
            f"{counted(frames, 'frame')} of {height} x {width}, "
            f"{counted(summary['objects'], 'object')} per frame",
        ),
        ("parameters", f"{summary['parameters']:,}"),
        ("multiply-adds", f"{summary['multiply_adds']:,}"),
        ("", f"{summary['multiply_adds'] - work:,} of them outside of layers"),
        ("counted", "matrix products and convolutions of one clip in evaluation"),
    ]
    layers = Table(header=("layer", "kind", "output", "parameters", "multiply-adds"), rows=rows)
    return Report(tables=[layers, Table(header=("", ""), rows=totals)])
