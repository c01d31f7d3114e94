"""Options of `orn eval`."""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from orn.data_manifests.records import Split
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.evaluation_names import NumCrops
from orn.stage2_train.settings.resources import OF_RUN, WITH_WORKERS, Resources

_VIEWS = re.compile(r"([1-9]\d{0,3})x(\d)", re.ASCII)


def _views(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _VIEWS.fullmatch(value)
    if not match:
        raise ValueError(f"expected CLIPSxCROPS, such as 10x1 or 10x3, got {value!r}")
    return int(match[1]), int(match[2])


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
    views: Annotated[
        Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], NumCrops], BeforeValidator(_views)],
        Option(
            "Test clips per segment, the first one centered, and crops per clip: 1 at the center "
            "or 3 along the longer side, such as 10x3. Their logits are averaged.",
            metavar="CLIPSxCROPS",
            usual="1x1",
        ),
    ] = (1, 1)
    flip: Annotated[
        bool,
        Option(
            "Also evaluate each clip flipped left to right; the manifest must specify how flips "
            "change classes."
        ),
    ] = False
    label: Annotated[
        str | None,
        Option(
            "Write results to eval-SPLIT-NAME.json, next to other results of the split; required "
            "with shards other than the run's.",
            name="--name",
        ),
    ] = None
    resources: Annotated[Resources, OF_RUN] = WITH_WORKERS

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
