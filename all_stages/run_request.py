"""The options of `orn run`."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import DataRoot, FilePath, Folds, Group, Overrides, PickedRate, Seed
from orn.shared.options import Argument, Option, Request


class PipelineRequest(Request):
    """The options of `orn run`."""

    dataset: Annotated[str, Argument("DATASET|TABLE.csv")]
    data_root: DataRoot = Path("data")
    split: Annotated[
        str,
        Option(
            "Split to create if the table has none, in percent.", metavar="TRAIN/VALIDATION[/TEST]"
        ),
    ] = "80/10/10"
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
        str | None,
        Option(
            "Format of --objects, as in `orn import-objects`.", name="--format", metavar="FORMAT"
        ),
    ] = None
    recipe: Annotated[
        str | None, Option("Name or TOML file of a recipe.", usual="depends on DATASET")
    ] = None
    overrides: Overrides = ()
    seed: Seed = 0
    run: Annotated[FilePath | None, Option("Run folder.", usual="runs/DATASET-RECIPE-seedN")] = None
    fresh: Annotated[
        bool, Option("Remove the existing shards, clip store and run, and start over.")
    ] = False
    partial: Annotated[
        bool, Option("Continue without videos that are missing or cannot be decoded.")
    ] = False

    @property
    def is_table(self) -> bool:
        """Whether the data set is given as a table of labels."""
        path = Path(self.dataset)
        return path.suffix.lower() == ".csv" or (path.suffix != ".toml" and path.is_file())
