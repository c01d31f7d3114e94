"""Options of `orn train`, `eval`, `compare` and the commands for EPIC-KITCHENS-100."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from orn.shared.common_options import (
    Count,
    FilePath,
    Overrides,
    Seed,
)
from orn.shared.manifests.records import Split
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.newest_data import NEWEST
from orn.stage2_train.resources import OF_RUN, WITH_WORKERS, Resources

FrameOrder = Literal["forward", "reversed", "shuffled"]
NumCrops = Literal[1, 3]
NUM_FIGURE_DRAWS = 2000
"""Bootstrap draws for a confidence interval, which determine its width to about 2 %."""
CALIBRATED = "calibrated"
"""Part of the names of files written by `orn eval --calibrate-heads`."""

_VIEWS = re.compile(r"([1-9]\d{0,3})x(\d)", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if not match or not value:
        raise ValueError(f"expected a time such as 11h55m, 90s or 1d12h, got {value!r}")
    days, hours, minutes, seconds = (float(each or 0) for each in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _views(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _VIEWS.fullmatch(value)
    if not match:
        raise ValueError(f"expected CLIPSxCROPS, such as 10x1 or 10x3, got {value!r}")
    return int(match[1]), int(match[2])


RunFolder = Annotated[FilePath, Argument("RUN")]
Recipe = Annotated[str | None, Option("Name or TOML file of a recipe.", usual="depends on DATASET")]
System = Annotated[
    str | None,
    Option(
        "System in the paper's tables (listed by `orn systems`), instead of the recipe's.",
        metavar="NAME",
    ),
]
Weights = Annotated[FilePath | None, Option("Initial weights: a torchvision state dict.")]
SplitOf = Annotated[Split, Option("Split to evaluate.")]
Measurement = Annotated[
    str,
    Option(
        "Evaluation to compare: NAME in eval-NAME.json, such as a split.",
        name="--on",
    ),
]


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
    log_with: Annotated[
        tuple[str, ...],
        Option(
            "Also log metrics to mlflow or wandb, in the run folder; may be repeated.",
            metavar="TRACKER",
        ),
    ] = ()
    prepare: Annotated[bool, Option("Run `orn detect` first if there are no shards.")] = False
    resources: Resources = WITH_WORKERS

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        if self.start is not None and self.weights is not None:
            raise ValueError("--from and --weights: expected at most one, got both; omit one")
        return self


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
    split: SplitOf = "validation"
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
    frame_order: Annotated[
        FrameOrder | None,
        Option("Control: order of a clip's frames; results go to eval-SPLIT-ORDER.json."),
    ] = None
    calibrate_heads: Annotated[
        bool,
        Option(
            "Scale each head's logits by a factor fitted on the validation split; results go to "
            "eval-SPLIT-calibrated.json."
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
        if self.label.partition("-")[0] in (*get_args(FrameOrder), CALIBRATED):
            raise ValueError(
                f"--name {self.label!r}: the name is reserved for a different option; choose a new "
                "one"
            )
        return self

    @property
    def name(self) -> str:
        """Name of the evaluation in its files, such as eval-NAME.json."""
        calibrated = CALIBRATED if self.calibrate_heads else None
        return "-".join(filter(None, (self.split, self.frame_order, calibrated, self.label)))


class CompareRequest(Request):
    """Options of `orn compare`; differences are metrics of OTHER minus metrics of ONE."""

    one: Annotated[FilePath, Argument("ONE")]
    other: Annotated[FilePath, Argument("OTHER")]
    name: Measurement = "validation"
    num_draws: int = NUM_FIGURE_DRAWS


class Epic100Request(Request):
    """Options of the command that combines a verb run and a noun run on EPIC-KITCHENS-100."""

    verb_run: Annotated[FilePath, Argument("VERB_RUN")]
    noun_run: Annotated[FilePath, Argument("NOUN_RUN")]
    name: Measurement = "validation"
    data_root: Annotated[
        FilePath | None, Option("Data root.", name="--data", usual="the runs'")
    ] = None
    num_draws: int = NUM_FIGURE_DRAWS
