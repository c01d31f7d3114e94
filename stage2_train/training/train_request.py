"""Options of `orn train`."""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

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

_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if not match or not value:
        raise ValueError(f"expected a time such as 11h55m, 90s or 1d12h, got {value!r}")
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


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
    stop_after: Annotated[
        Annotated[float, Field(ge=0), BeforeValidator(_seconds)] | None,
        Option(
            "Save a checkpoint and stop after this time, such as 11h55m; the same command resumes.",
            metavar="TIME",
        ),
    ] = None
    resources: Resources = WITH_WORKERS

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        if self.start is not None and self.weights is not None:
            raise ValueError("--from and --weights: expected at most one, got both; omit one")
        return self
