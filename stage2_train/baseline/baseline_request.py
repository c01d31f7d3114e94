"""Options of `orn baseline`."""

from typing import Annotated

from orn.data_manifests.records import Split
from orn.shared.common_options import DataRoot, FilePath, Overrides, Seed, out_option
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.resources import (
    NEWEST,
    ClipsFolder,
    DataAndDevice,
    Recipe,
    ShardsFolder,
)


class BaselineRequest(Request):
    """Options of `orn baseline`; None selects the default."""

    manifest: Annotated[str, Argument("DATASET")] = NEWEST
    data_root: DataRoot = None
    shards: ShardsFolder = None
    clips: ClipsFolder = None
    partial: Annotated[bool, Option("Omit segments whose video is missing.")] = False
    split: Annotated[Split, Option("Split to evaluate.")] = "validation"
    recipe: Recipe = None
    overrides: Overrides = ()
    seed: Seed = 0
    out: Annotated[FilePath | None, out_option("runs/DATASET-baseline")] = None

    @property
    def resources(self) -> DataAndDevice:
        """The paths of the data."""
        return DataAndDevice(
            data_root=self.data_root, shards=self.shards, clips=self.clips, partial=self.partial
        )
