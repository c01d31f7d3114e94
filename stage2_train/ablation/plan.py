"""Which trainings an ablation consists of, and in which folder each lies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import ConfigError
from stage2_train.systems import SYSTEMS, find_system

__all__ = ["TABLES", "AblationRequest", "AblationRun", "Search", "planned_runs", "table_systems"]

TABLES = ("2", "5", "baselines")
_BASELINE_TABLES = (1, 3, 4)
_BESIDE_BASELINES = ("activity-head", "orn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One setting that is chosen for every system alike, by the validation split."""

    key: str
    """Name of the setting, such as optimiser.learning_rate."""
    values: tuple[str, ...]
    """What is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRequest:
    """What `orn ablate` was asked for."""

    manifest: str
    """Name or file of the manifest."""
    table: str
    """One of `TABLES`."""
    out: Path
    """Folder of the runs."""
    data_root: Path
    """Folder under which data sets lie."""
    systems: tuple[str, ...] = ()
    """Only these systems of the table; all of them if empty."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each system."""
    recipe: str | None = None
    """Name or file of the recipe, the same for all systems; None takes the data set's."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe to replace, for all systems."""
    search: Search | None = None
    """What is chosen for each system on the validation split."""
    shards: Path | None = None
    """Folder of the shards."""
    clips: Path | None = None
    """The clip store."""
    test: bool = False
    """Whether the test split is read once everything is trained; else validation is reported."""
    jobs: int = 1
    """Trainings at the same time."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One training."""

    system: str
    """Name of the system."""
    seed: int
    """Its seed."""
    folder: Path
    """The run folder."""
    overrides: tuple[str, ...] = field(default=())
    """Settings of the recipe to replace."""

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.system}, seed {self.seed}"


def table_systems(table: str, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the systems of a table, in its order, or the wanted ones of them.

    Raises:
        ConfigError: if one that is wanted is not in the table.
    """
    if table == "baselines":
        introduced = tuple(s.name for s in SYSTEMS if s.table in _BASELINE_TABLES)
        names = (*introduced, *_BESIDE_BASELINES)
    else:
        names = tuple(system.name for system in SYSTEMS if system.table == int(table))
    for name in wanted:
        if find_system(name).name not in names:
            raise ConfigError(f"system {name}: wanted one of table {table}, {', '.join(names)}")
    return tuple(name for name in names if name in wanted or not wanted)


def planned_runs(
    request: AblationRequest, *, seeds: Sequence[int], value_of: dict[str, str] | None = None
) -> tuple[AblationRun, ...]:
    """The runs of every system of the request, seed by seed.

    Args:
        request: what is asked for.
        seeds: which seeds.
        value_of: the value of the searched setting by system; None where nothing is searched.
    """
    runs = []
    for seed in seeds:
        for system in table_systems(request.table, request.systems):
            overrides = request.overrides
            folder = request.out / system
            if request.search is not None and value_of is not None:
                value = value_of[system]
                overrides = (*overrides, f"{request.search.key}={value}")
                folder /= f"{request.search.key.rpartition('.')[2]}-{value}"
            runs.append(
                AblationRun(
                    system=system, seed=seed, folder=folder / f"seed{seed}", overrides=overrides
                )
            )
    return tuple(runs)
