"""What `orn demo tables` is asked for, as options of the command."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from orn.shared.common_options import Names
from orn.shared.environment import usable_cores
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.ablation.request import NumSeeds


class TablesRequest(Request):
    """Which comparisons to make."""

    dataset: Annotated[
        Literal["demo", "demo-touch", "demo-places", "demo-both"], Argument("DATASET")
    ]
    short: Annotated[bool, Option("A few films and steps: shows it works.")] = False
    experiments: Annotated[
        Names,
        Option(
            "What to measure, some of: table2, reversed, table5, compared, controls, classes, "
            "heads, steps, films, frames, detected, decoys, objects, pairs, both, parts, "
            "both-films.",
            usual="the main claims",
        ),
    ] = ()
    systems: Annotated[
        Names,
        Option("Rows of table 2, separated by commas, or all.", usual="those of the main claims"),
    ] = ()
    precision: Annotated[
        Literal["fp32", "bf16"],
        Option("Of all trainings; bf16 is faster where the processor computes in it."),
    ] = "fp32"
    num_seeds: NumSeeds = 5
    jobs: Annotated[
        int, Field(ge=1, le=256), Option("Trainings at the same time.", usual="cores")
    ] = min(256, usable_cores())

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return Path("tables-short" if self.short else "tables")
