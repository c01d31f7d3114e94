"""The options of `orn leaks`."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import DatasetName, FilePath, Overrides, out_option
from orn.shared.options import Option, Request
from orn.stage2_train.ablation.request import AblationRequest, Jobs, NumSeeds
from orn.stage2_train.requests import Recipe
from orn.stage2_train.resources import Resources


class LeaksRequest(Request):
    """The options of `orn leaks`."""

    manifest: DatasetName
    train: Annotated[bool, Option("Also train networks on part of the input.")] = False
    num_seeds: NumSeeds = 5
    recipe: Recipe = None
    overrides: Overrides = ()
    out: Annotated[FilePath | None, out_option("runs/leaks-DATASET")] = None
    test: Annotated[bool, Option("Evaluate on the test split instead of validation.")] = False
    jobs: Jobs = 1
    resources: Resources = Resources()

    @property
    def folder(self) -> Path:
        """Folder for the report and the runs."""
        return self.out or Path("runs") / f"leaks-{Path(self.manifest).stem}"

    def trainings(self) -> AblationRequest:
        """Return the options of the ablation that trains the networks."""
        shared = {name: getattr(self, name) for name in self.model_fields_set - {"train"}}
        return AblationRequest(**shared | {"table": "leaks", "out": self.folder})
