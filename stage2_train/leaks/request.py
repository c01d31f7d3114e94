"""What `orn leaks` is asked for, as options of the command."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import DatasetName, FilePath, Overrides, out_option
from orn.shared.options import Option, Request
from orn.stage2_train.ablation.request import AblationRequest, Jobs, NumSeeds
from orn.stage2_train.requests import Recipe
from orn.stage2_train.resources import Resources


class LeaksRequest(Request):
    """Of which data set shortcut baselines are measured."""

    manifest: DatasetName
    train: Annotated[bool, Option("Also train networks that see a part; needs frames.")] = False
    num_seeds: NumSeeds = 5
    recipe: Recipe = None
    overrides: Overrides = ()
    out: Annotated[FilePath | None, out_option("runs/leaks-DATASET")] = None
    test: Annotated[bool, Option("Measure on the test split in place of validation.")] = False
    jobs: Jobs = 1
    resources: Resources = Resources()

    @property
    def folder(self) -> Path:
        """Of the report, and of the runs."""
        return self.out or Path("runs") / f"leaks-{Path(self.manifest).stem}"

    def trainings(self) -> AblationRequest:
        """Return the ablation that measures what is trained."""
        shared = {name: getattr(self, name) for name in self.model_fields_set - {"train"}}
        return AblationRequest(**shared | {"table": "leaks", "out": self.folder})
