"""What `orn run` is asked for."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import DataRoot, FilePath, Overrides, PickedRate, Seed
from orn.shared.options import Argument, Option, Request


class PipelineRequest(Request):
    """What `orn run` is asked for."""

    dataset: Annotated[str, Argument("DATASET|TABLE.csv")]
    data_root: DataRoot = Path("data")
    split: Annotated[
        str,
        Option(
            "Of a table without a split: draw one, in percent.", metavar="TRAIN/VALIDATION[/TEST]"
        ),
    ] = "80/10/10"
    config: Annotated[
        str | None, Option("The detector, as `orn detect` takes it.", metavar="NAME|FILE")
    ] = None
    checkpoint: Annotated[FilePath | None, Option("File of the detector's weights.")] = None
    rate: PickedRate = None
    objects: Annotated[
        FilePath | None,
        Option("Objects to import in place of detecting, a file or folder; needs --format."),
    ] = None
    form: Annotated[
        str | None,
        Option(
            "Of the objects, as `orn import-objects` takes it.", name="--format", metavar="FORMAT"
        ),
    ] = None
    recipe: Annotated[str | None, Option("Name or TOML file of a recipe.", usual="by data set")] = (
        None
    )
    overrides: Overrides = ()
    seed: Seed = 0
    run: Annotated[FilePath | None, Option("Run folder.", usual="runs/DATASET-RECIPE-seedN")] = None
    partial: Annotated[
        bool, Option("Go on without videos that are missing or cannot be decoded.")
    ] = False

    @property
    def is_table(self) -> bool:
        """Whether the data set is named by its table of labels."""
        path = Path(self.dataset)
        return path.suffix.lower() == ".csv" or (path.suffix != ".toml" and path.is_file())
