"""Options of `orn eval`."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from orn.data_manifests.records import Split
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.resources import OF_RUN, WITH_WORKERS, DataAndDevice


class EvalRequest(Request):
    """Options of `orn eval`; for paths that are None, the paths recorded by the run are used."""

    run: Annotated[str | Path | None, Argument("RUN")] = None
    dataset: Annotated[
        str | None,
        Option(
            "Without RUN: evaluate the newest run on this data set.  [default: any]  With RUN: "
            "evaluate it on this data set.",
            usual="the run's",
        ),
    ] = None
    split: Annotated[Split, Option("Split to evaluate.")] = "validation"
    num_clips: Annotated[
        int,
        Field(ge=1, le=1000),
        Option(
            "Test clips per segment, the first one centered, whose logits are averaged.",
            name="--views",
        ),
    ] = 1
    label: Annotated[
        str | None,
        Option(
            "Write results to eval-SPLIT-NAME.json, next to other results of the split; required "
            "with shards other than the run's.",
            name="--name",
        ),
    ] = None
    resources: Annotated[DataAndDevice, OF_RUN] = WITH_WORKERS

    @model_validator(mode="after")
    def _has_files_of_its_own(self) -> Self:
        if self.label is None:
            return self
        if not re.fullmatch(r"[\w.-]+", self.label):
            raise ValueError(
                f"--name {self.label!r}: expected letters, digits, dots, hyphens and underscores"
            )
        return self

    @property
    def name(self) -> str:
        """Name of the evaluation in its files, such as eval-NAME.json."""
        return "-".join(filter(None, (self.split, self.label)))
