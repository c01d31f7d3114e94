"""What `orn train`, `eval`, `overlay`, `compare` and those of EPIC Kitchens 100 are asked for."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from orn.shared.common_options import (
    Count,
    DataRoot,
    DatasetName,
    FilePath,
    Overrides,
    Seed,
    Share,
    out_option,
)
from orn.shared.manifests.records import Split
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.newest_data import NEWEST
from orn.stage2_train.resources import OF_RUN, WITH_WORKERS, ClipsFolder, Resources, ShardsFolder

FrameOrder = Literal["forward", "reversed", "shuffled"]
NumCrops = Literal[1, 3]
NUM_FIGURE_DRAWS = 2000
"""Draws for an interval, which tell a spread to 2 %."""
CALIBRATED = "calibrated"
"""Part of the names of files of `orn eval --calibrate-heads`."""

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
Recipe = Annotated[str | None, Option("Name or TOML file of a recipe.", usual="by data set")]
System = Annotated[
    str | None,
    Option(
        "A system of the paper's tables (`orn systems` lists them), in place of the recipe's.",
        metavar="NAME",
    ),
]
Weights = Annotated[FilePath | None, Option("Weights of a torchvision network to start from.")]
SplitOf = Annotated[Split, Option("What to measure.")]
Measurement = Annotated[
    str,
    Option(
        "What both were measured on: a split, as in eval-SPLIT.json, with what follows it there.",
        name="--on",
    ),
]


class TrainRequest(Request):
    """A training, or going on with one; None takes the default."""

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
            "A run or model folder, or hf://ORG/NAME, whose weights to start from, all but the "
            "classifiers'.",
            name="--from",
            metavar="RUN",
        ),
    ] = None
    seed: Annotated[Seed | None, Option("In place of the recipe's.")] = None
    max_steps: Annotated[Count | None, Option("Stop when so many steps are done.")] = None
    stop_after: Annotated[
        Annotated[float, Field(ge=0), BeforeValidator(_seconds)] | None,
        Option(
            "Save and end after so long, such as 11h55m; the same command goes on.",
            metavar="TIME",
        ),
    ] = None
    log_with: Annotated[
        tuple[str, ...],
        Option(
            "Metrics also go to mlflow or wandb, in the run's folder; may be repeated.",
            metavar="TRACKER",
        ),
    ] = ()
    prepare: Annotated[bool, Option("Run `orn detect` first where there are no shards.")] = False
    resources: Resources = WITH_WORKERS

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        if self.start is not None and self.weights is not None:
            raise ValueError("--from and --weights: expected one of them, got both; drop one")
        return self


class EvalRequest(Request):
    """What to measure; paths that are None are those that the run recorded."""

    run: Annotated[str | Path | None, Argument("RUN")] = None
    dataset: Annotated[
        str | None,
        Option(
            "Without RUN: of the runs in runs/, take the newest on this data set.  [default: any]  "
            "With it: measure on this one.",
            usual="the run's",
        ),
    ] = None
    split: SplitOf = "validation"
    views: Annotated[
        Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], NumCrops], BeforeValidator(_views)],
        Option(
            "Such as 10x3: so many test clips of each segment, the first of them centred, and of "
            "each 1 crop in the middle or 3 along the longer side; all are averaged.",
            metavar="CLIPSxCROPS",
            usual="1x1",
        ),
    ] = (1, 1)
    flip: Annotated[
        bool,
        Option(
            "Look at each of these flipped left to right, too, where the manifest says what flips "
            "make of classes."
        ),
    ] = False
    frame_order: Annotated[
        FrameOrder | None,
        Option("A control: the order of a clip's frames; the results go to eval-SPLIT-ORDER.json."),
    ] = None
    calibrate_heads: Annotated[
        bool,
        Option(
            "Multiply each head's logits by a number fitted on the validation split; the results "
            "go to eval-SPLIT-calibrated.json."
        ),
    ] = False
    label: Annotated[
        str | None,
        Option(
            "Keeps results beside others of the split, in eval-SPLIT-NAME.json; has to be given "
            "with shards that are not the run's.",
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
                f"--name {self.label!r}: begins like the results of another option, which it would "
                "replace; choose another"
            )
        return self

    @property
    def name(self) -> str:
        """What the files of this measurement are called by."""
        calibrated = CALIBRATED if self.calibrate_heads else None
        return "-".join(filter(None, (self.split, self.frame_order, calibrated, self.label)))


_Few = Annotated[int, Field(ge=1, le=1000)]


class OverlayRequest(Request):
    """Which stored frames to draw masks on."""

    dataset: DatasetName
    data_root: DataRoot = Path("data")
    out: Annotated[FilePath | None, out_option("overlays/DATASET")] = None
    shards: ShardsFolder = None
    clips: ClipsFolder = None
    segment: Annotated[str | None, Option("Draw this segment only.", metavar="ID")] = None
    limit: Annotated[_Few, Option("How many segments, evenly spread over the label table.")] = 8
    num_frames: Annotated[_Few, Option("Frames of each, evenly spread over the segment.")] = 4
    score_threshold: Annotated[Share, Option("Leave out detections below it.")] = 0.5


class CompareRequest(Request):
    """Two runs; differences are how much higher the figures of the other one are."""

    one: Annotated[FilePath, Argument("ONE")]
    other: Annotated[FilePath, Argument("OTHER")]
    name: Measurement = "validation"
    num_draws: int = NUM_FIGURE_DRAWS


class Epic100Request(Request):
    """A verb run and a noun run."""

    verb_run: Annotated[FilePath, Argument("VERB_RUN")]
    noun_run: Annotated[FilePath, Argument("NOUN_RUN")]
    name: Measurement = "validation"
    data_root: Annotated[
        FilePath | None, Option("Data root.", name="--data", usual="the runs'")
    ] = None
    num_draws: int = NUM_FIGURE_DRAWS


_Level = Annotated[int, Field(ge=0, le=5)]


class SubmitRequest(Request):
    """A file of the challenge."""

    verb_run: Annotated[FilePath, Argument("VERB_RUN")]
    noun_run: Annotated[FilePath, Argument("NOUN_RUN")]
    out: Annotated[FilePath, Argument("OUT")]
    split: Annotated[
        Literal["validation", "test"],
        Option(
            "Whose segments. What runs predict of test segments, which have no labels, is computed "
            "and kept; of validation segments it is what `orn eval` kept."
        ),
    ] = "test"
    pt: Annotated[_Level | None, Option("Level of pre-training.", usual="from the runs")] = None
    tl: Annotated[_Level | None, Option("Level of training labels.", usual="from the runs")] = None
    td: Annotated[_Level | None, Option("Level of training data.", usual="from the runs")] = None
    resources: Annotated[Resources, OF_RUN] = WITH_WORKERS
    dry_run: Annotated[
        bool, Option("Check everything that needs no network, and write nothing.")
    ] = False

    @property
    def levels(self) -> dict[str, int]:
        """Supervision levels in place of what the runs say."""
        given = {"pt": self.pt, "tl": self.tl, "td": self.td}
        return {name: level for name, level in given.items() if level is not None}
