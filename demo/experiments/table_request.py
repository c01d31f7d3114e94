"""What `orn demo tables` was asked for, and what follows from it for every experiment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from demo.experiments.table_sizes import SIZES, TableSize, TableWorld
from demo.experiments.table_steps import World
from shared.errors import ConfigError

__all__ = ["EXPERIMENTS", "MAIN_SYSTEMS", "TablesRequest"]

Precision = Literal["fp32", "bf16"]

EXPERIMENTS: dict[TableWorld, tuple[str, ...]] = {
    "demo": (
        "table2",
        "reversed",
        "table5",
        "controls",
        "films",
        "steps",
        "frames",
        "decoys",
        "objects",
    ),
    "demo-touch": ("table2",),
    "demo-places": ("pairs",),
}
"""What can be measured on each world, in this order."""
_BY_DEFAULT = ("table2", "reversed", "table5", "pairs")
MAIN_SYSTEMS = (
    "activity-head",
    "orn",
    "object-head",
    "coco-visual-object-head",
    "coco-class-object-head",
    "coco-shape-object-head",
)
_DIALS = {
    "demo-touch": ("--objects", "6", "--classes", "6", "--pull", "30", "--camera", "0"),
    "demo-places": ("--columns", "3", "--owners", "2", "--balls", "2"),
}
"""Worlds are as `orn demo world` draws them but for these, settled on validation parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesRequest:
    """What `orn demo tables` was asked for."""

    dataset: TableWorld
    """The world."""
    size: Literal["full", "short"]
    """One of `SIZES`."""
    experiments: tuple[str, ...] = ()
    """Some of `EXPERIMENTS`; those of the main claims if empty."""
    systems: tuple[str, ...] = MAIN_SYSTEMS
    """Rows of table 2; all of them if empty."""
    precision: Precision = "fp32"
    """Of all trainings."""
    num_seeds: int = 3
    """Seeds of each system."""
    jobs: int = 1
    """Trainings at the same time."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming an experiment that the world does not have."""
        known = EXPERIMENTS[self.dataset]
        for name in self.experiments:
            if name not in known:
                raise ConfigError(
                    f"--experiments: wanted some of {', '.join(known)} for {self.dataset}, "
                    f"found {name!r}"
                )

    @property
    def amounts(self) -> TableSize:
        """How much is drawn and trained."""
        return SIZES[self.size]

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return Path("tables") if self.size == "full" else Path("tables-short")

    def asks_for(self, experiment: str) -> bool:
        """Whether an experiment is to be made."""
        return experiment in (self.experiments or _BY_DEFAULT)

    @property
    def weights(self) -> Path:
        """What systems with a ResNet start from."""
        return self.folder / "first-weights.pth"

    def world(self, dataset: str) -> World:
        """A data set as it is drawn for the tables."""
        return World(
            dataset=dataset,
            films=self.amounts.films[dataset],
            folder=self.folder,
            dials=_DIALS.get(dataset, ()),
        )
