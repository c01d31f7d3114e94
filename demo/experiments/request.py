"""The options of `orn demo tables`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from orn.shared.common_options import Names
from orn.shared.environment import usable_cores
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.ablation.request import NumSeeds


class TablesRequest(Request):
    """The options of `orn demo tables`."""

    dataset: Annotated[
        Literal["demo", "demo-touch", "demo-places", "demo-both"], Argument("DATASET")
    ]
    short: Annotated[bool, Option("Use a few films and steps, as a test.")] = False
    experiments: Annotated[
        Names,
        Option(
            "Experiments to run: table2, reversed, table5, compared, controls, classes, heads, "
            "steps, films, frames, detected, decoys, objects, relations, pairs, both, parts, "
            "both-films.",
            usual="those of the main claims",
        ),
    ] = ()
    systems: Annotated[
        Names,
        Option("Rows of table 2, or all.", usual="those of the main claims"),
    ] = ()
    precision: Annotated[
        Literal["fp32", "bf16"],
        Option("Precision of all training runs; bf16 is faster on processors that support it."),
    ] = "fp32"
    num_seeds: NumSeeds = 5
    jobs: Annotated[
        int,
        Field(ge=1, le=256),
        Option("Number of training runs in parallel.", usual="one per core"),
    ] = min(256, usable_cores())

    @property
    def folder(self) -> Path:
        """Return the output folder."""
        return Path("tables-short" if self.short else "tables")
