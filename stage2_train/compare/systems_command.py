"""The command `orn systems`."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from orn.shared.common_options import AsJson
from orn.shared.echo import echo_json, echo_text
from orn.shared.options import Option, command
from orn.shared.text_report import Report, report_of

if TYPE_CHECKING:
    from orn.stage2_train.settings.systems import System as PaperSystem


_PAPERS = ("epic", "vlog", "something")
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
    from orn.stage2_train.settings.systems import SYSTEMS

    described = [_describe(system) for system in SYSTEMS if table in (None, *system.tables)]
    if as_json:
        echo_json({"systems": described})
    else:
        echo_text(_systems_report(described, table).text())


def _describe(system: "PaperSystem") -> dict[str, Any]:
    """Return a system as a JSON object."""
    from orn.stage2_train.model.build import count_parameters
    from orn.stage2_train.settings.recipe import load_recipe

    num_activities = _NUM_ACTIVITIES[system.table]
    recipe = load_recipe(_SIZES, num_activities=num_activities, system=system.name)
    return {
        **{name: getattr(system, name) for name in ("name", "title", "table", "row", "tables")},
        "heads": recipe.model.heads,
        "architecture": recipe.model.architecture,
        "parameters": count_parameters(recipe.model),
        "num_activities": num_activities,
        "settings": system.settings,
        "paper": [
            {
                **{name: getattr(figure, name) for name in ("table", "row", "dataset")},
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
    rows = []
    for system in systems:
        number = system["table"] if table is None else table
        figures = {
            figure["dataset"]: figure for figure in system["paper"] if figure["table"] == number
        }
        row = next(iter(figures.values()), system)["row"]
        place = {"system": system["name"], "table": number, "row": row}
        size = {name: system[name] for name in ("heads", "parameters")}
        printed = {name: figures[name]["printed"] if name in figures else "-" for name in _PAPERS}
        rows.append({**place, **size, **printed, "": system["title"]})
    return report_of({"system": rows})
