"""The options of `orn ablate`; this module imports nothing slow."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from orn.data_manifests.records import Split
from orn.shared.common_options import DatasetName, FilePath, Folds, Group, Names, Overrides
from orn.shared.options import Option, Request
from orn.stage2_train.settings.resources import Recipe, Resources, Weights

Settings = tuple[str, ...]
"""Recipe settings to override, `KEY=VALUE` each."""


def _checked(text: str) -> str:
    key, _, values = text.partition("=")
    tried = values.split(",")
    if not key or len(tried) < 2 or len({*tried}) < len(tried) or not all(tried):
        raise ValueError(
            "expected KEY=VALUE,VALUE,... with different values, such as "
            f"optimizer.learning_rate=1e-3,3e-4, got {text!r}"
        )
    return text


class AblationRequest(Request):
    """The options of `orn ablate`."""

    manifest: DatasetName
    table: Annotated[
        Literal["2", "5", "baselines"] | None,
        Option("Train the systems of this table of the paper, or all of its baselines."),
    ] = None
    systems: Annotated[Names, Option("Train these systems, comma-separated.")] = ()
    num_seeds: Annotated[
        int, Field(ge=1, le=1000), Option("Number of seeds per system.", name="--seeds")
    ] = 5
    folds: Folds = None
    group: Group = None
    recipe: Recipe = None
    overrides: Overrides = ()
    vary: Annotated[
        Annotated[str, AfterValidator(_checked)] | None,
        Option("Train every system with each of these values.", metavar="KEY=V1,V2,..."),
    ] = None
    out: Annotated[FilePath | None, Option("Folder of the runs.", usual="runs/ablate-DATASET")] = (
        None
    )
    weights: Weights = None
    test: Annotated[bool, Option("Evaluate on the test split once, after all runs.")] = False
    jobs: Annotated[
        int,
        Field(ge=1, le=256),
        Option("Number of training runs in parallel; they share the cores."),
    ] = 1
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _names_systems_once(self) -> Self:
        if (self.table is None) == (not self.systems):
            got = "neither" if self.table is None else "both"
            raise ValueError(f"--table and --systems: expected one of them, got {got}")
        return self

    @property
    def varied(self) -> Settings:
        """The varied setting with each of its values; one empty text if nothing is varied."""
        key, _, values = (self.vary or "").partition("=")
        return tuple(f"{key}={value}" for value in values.split(",")) if values else ("",)

    @property
    def folder(self) -> Path:
        """Folder that contains the runs."""
        return self.out or Path("runs") / f"ablate-{Path(self.manifest).stem}"

    @property
    def split(self) -> Split:
        """Split to report on."""
        return "test" if self.test else "validation"
