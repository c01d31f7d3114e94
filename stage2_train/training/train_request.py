"""Options of `orn train`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import model_validator

from orn.shared.common_options import Count, FilePath, Overrides, Seed
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.resources import (
    NEWEST,
    WITH_WORKERS,
    Recipe,
    Resources,
    System,
    Weights,
)


class TrainRequest(Request):
    """Options of `orn train`; None selects the default."""

    manifest: Annotated[str, Argument("DATASET")] = NEWEST
    recipe: Recipe = None
    system: System = None
    overrides: Overrides = ()
    run: Annotated[
        FilePath | None, Option("Run folder.", usual="runs/DATASET-RECIPE-SYSTEM-seedN")
    ] = None
    weights: Weights = None
    start: Annotated[
        str | Path | None,
        Option(
            "Fine-tune a run, a model folder or hf://ORG/NAME: start from its weights, except "
            "those of the classifiers.",
            name="--from",
            metavar="RUN",
        ),
    ] = None
    seed: Annotated[Seed | None, Option("Seed, instead of the recipe's.")] = None
    max_steps: Annotated[Count | None, Option("Stop after this number of steps.")] = None
    resources: Resources = WITH_WORKERS

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        if self.start is not None and self.weights is not None:
            raise ValueError("--from and --weights: expected at most one, got both; omit one")
        return self
