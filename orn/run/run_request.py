"""The options of `orn run`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import model_validator

from orn.shared.common_options import DataRoot, FilePath, Folds, Group, Overrides, PickedRate, Seed
from orn.shared.data_files import not_a_file
from orn.shared.options import Argument, Option, Request
from orn.shared.text import path_text
from orn.stage1_detect.imports.import_request import FormatName, ObjectOptions
from orn.stage2_train.settings.model_config import Backbone


class PipelineRequest(Request):
    """The options of `orn run`."""

    dataset: Annotated[str, Argument("DATASET|TABLE.csv")]
    data_root: DataRoot = None
    split: Annotated[
        str | None,
        Option(
            "Split to create if the table has none, in percent.",
            metavar="TRAIN/VALIDATION[/TEST]",
            usual="80/10/10",
        ),
    ] = None
    folds: Folds = None
    group: Group = None
    no_final: Annotated[
        bool, Option("With --folds: omit the last training, on all videos, whose model predicts.")
    ] = False
    config: Annotated[str | None, Option("Detector, as in `orn detect`.", metavar="NAME|FILE")] = (
        None
    )
    checkpoint: Annotated[FilePath | None, Option("Weights of the detector.")] = None
    rate: PickedRate = None
    objects: Annotated[
        FilePath | None,
        Option("File or folder of objects to import instead of detecting; requires --format."),
    ] = None
    form: Annotated[
        FormatName | None,
        Option("Format of --objects, as in `orn import-objects`.", name="--format"),
    ] = None
    options: ObjectOptions = ObjectOptions()
    recipe: Annotated[
        str | None, Option("Name or TOML file of a recipe.", usual="depends on DATASET")
    ] = None
    backbone: Annotated[
        Backbone | None,
        Option(
            "Network whose maps of frames are stored and read, as in `orn clips`.",
            metavar="timm/NAME|torchvision/NAME",
            usual="the recipe's",
        ),
    ] = None
    overrides: Overrides = ()
    seed: Seed = 0
    run: Annotated[FilePath | None, Option("Run folder.", usual="runs/DATASET-RECIPE-seedN")] = None
    start: Annotated[
        FilePath | None,
        Option(
            "Start from the weights of a run, as in `orn train`; with folds, from those of its "
            "folds.",
            name="--from",
            metavar="RUN",
        ),
    ] = None
    fresh: Annotated[
        bool, Option("Remove the existing shards, clip store and run, and start over.")
    ] = False
    partial: Annotated[
        bool, Option("Continue without videos that are missing or cannot be decoded.")
    ] = False

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.split is not None and self.folds is not None:
            raise ValueError("--split and --folds: expected at most one, got both; omit one")
        self.options.check(self.objects, self.form)
        if self.objects is not None and not self.objects.exists():
            raise ValueError(
                f"--objects: expected a file or folder, got none at {path_text(self.objects)}; "
                "correct the path"
            )
        if self.is_table and (problem := not_a_file(self.dataset)):
            raise ValueError(
                f"{path_text(self.dataset)}: expected a table of labels, got {problem}; correct "
                "the path"
            )
        return self

    @property
    def is_table(self) -> bool:
        """Whether the data set is given as a table of labels."""
        path = Path(self.dataset)
        return path.suffix.lower() == ".csv" or (path.suffix != ".toml" and path.is_file())
