"""The options of `orn ablate`, and the runs that they plan; this module imports nothing slow."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orn.data_manifests.records import Split
from orn.shared.errors import ConfigError
from orn.stage2_train.settings.resources import ALONE, DataAndDevice
from orn.stage2_train.settings.systems import SYSTEMS, System, find_system

Settings = tuple[str, ...]
"""Recipe settings to override, `KEY=VALUE` each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationConfig:
    """What `ablate` does."""

    manifest: str
    """Name or file of the manifest."""
    table: Literal["2", "5", "baselines"] | None = None
    """Table of the paper whose systems are trained."""
    systems: tuple[str, ...] = ()
    """Names of the systems."""
    num_seeds: int = 5
    """Number of seeds per system."""
    recipe: str | None = None
    """Name or file of the recipe; default: the data set's own."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe, `KEY=VALUE` each."""
    out: Path | None = None
    """Folder of the runs; default: runs/ablate-DATASET."""
    test: bool = False
    """Whether to compare on the test split."""
    resources: DataAndDevice = ALONE
    """Paths of the data, workers and device."""

    def __post_init__(self) -> None:
        if (self.table is None) == (not self.systems):
            got = "neither" if self.table is None else "both"
            raise ConfigError(f"--table and --systems: expected one of them, got {got}")

    @property
    def folder(self) -> Path:
        """Folder that contains the runs."""
        return self.out or Path("runs") / f"ablate-{Path(self.manifest).stem}"

    @property
    def split(self) -> Split:
        """Split to report on."""
        return "test" if self.test else "validation"


_BASELINE_TABLES = (1, 3, 4)
_BESIDE_BASELINES = ("activity-head", "orn")


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One training run."""

    system: str
    settings: Settings
    """Recipe settings to override, by key in alphabetical order."""
    seed: int
    out: Path
    """Folder of the ablation."""
    fold: str = ""
    """Name of the fold, if the data set has folds."""

    @property
    def label(self) -> str:
        """The settings as a file name; empty if there are none."""
        return re.sub(r"[^\w.,+=()\[\]-]", "-", ",".join(self.settings))

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out / self.system / self.label / f"seed{self.seed}" / self.fold

    @property
    def title(self) -> str:
        """Name of the run, for messages."""
        return ", ".join(filter(None, (self.system, self.label, f"seed {self.seed}", self.fold)))


def planned_runs(config: AblationConfig) -> tuple[AblationRun, ...]:
    """Return the runs of every system, ordered by seed.

    Raises:
        ConfigError: if a system does not exist.
    """
    systems = table_systems(config.table) if config.table else config.systems
    names = [find_system(name).name for name in systems]
    own = {text.partition("=")[0]: text for text in config.overrides}  # a later setting replaces
    settings = tuple(sorted(own.values()))
    return tuple(
        AblationRun(system=name, settings=settings, seed=seed, out=config.folder)
        for seed in range(config.num_seeds)
        for name in names
    )


def table_systems(table: str) -> tuple[str, ...]:
    """Return the names of the systems in a table, see `AblationConfig`."""
    tables = _BASELINE_TABLES if table == "baselines" else (int(table),)
    beside = _BESIDE_BASELINES if table == "baselines" else ()
    return (*(system.name for system in SYSTEMS if system.table in tables), *beside)


def paper_results(system: System, table: str | None) -> dict[str, str]:
    """Return the results of a system by data set as printed in a table, or in its own table."""
    tables = _BASELINE_TABLES if table == "baselines" else (int(table) if table else None,)
    results: dict[str, str] = {}
    for number in tables:
        results |= system.paper(number)
    return results or system.paper()
