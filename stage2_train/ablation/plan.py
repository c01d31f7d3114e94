"""Which trainings an ablation consists of, and in which folder each lies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import ConfigError
from stage2_train.ablation.rows import AblationRow
from stage2_train.resources import Resources

__all__ = ["AblationRequest", "AblationRun", "SettingValues", "planned_runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingValues:
    """One setting of the recipe and values of it, the same for every system."""

    key: str
    """Name of the setting, such as optimiser.learning_rate."""
    values: tuple[str, ...]
    """What it is set to, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRequest:
    """What `orn ablate` was asked for."""

    manifest: str
    """Name or file of the manifest."""
    table: str
    """One of `rows.TABLES`."""
    out: Path
    """Folder of the runs."""
    resources: Resources = field(default_factory=Resources)
    """Data, and what each training computes with."""
    systems: tuple[str, ...] = ()
    """Only these rows of the table; all of them if empty."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each system."""
    recipe: str | None = None
    """Name or file of the recipe, the same for all systems; None takes the data set's."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe to replace, for all systems."""
    search: SettingValues | None = None
    """What is chosen for each system on the validation split."""
    vary: SettingValues | None = None
    """What every system is trained and measured with each value of."""
    weights: Path | None = None
    """File with a torchvision ResNet's weights that every row starts from."""
    name: str | None = None
    """Of the report; None for that of the table."""
    test: bool = False
    """Whether the test split is read once everything is trained; else validation is reported."""
    jobs: int = 1
    """Trainings at the same time."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the option."""
        if self.name is not None and not re.fullmatch(r"[\w-][\w.-]*", self.name, re.ASCII):
            raise ConfigError(
                f"--name {self.name!r}: wanted letters, digits, dots, hyphens and underscores"
            )
        if self.search is not None and self.vary is not None:
            raise ConfigError(
                "--search and --vary: wanted one of them, found both; search first, then vary with "
                "--set of what was found"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One training."""

    row: AblationRow
    """What is trained."""
    seed: int
    """Its seed."""
    folder: Path
    """The run folder."""
    recipe_backbone: str
    """ResNet of the recipe."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe to replace, those of the row among them."""

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.row.name}, seed {self.seed}"


def planned_runs(
    request: AblationRequest,
    rows: Sequence[AblationRow],
    *,
    recipe_backbone: str,
    seeds: Sequence[int],
    setting: str | None = None,
    value_of: Mapping[str, str] | None = None,
) -> tuple[AblationRun, ...]:
    """The runs of every row, seed by seed.

    Args:
        request: what is asked for.
        rows: what is compared.
        recipe_backbone: ResNet of the recipe.
        seeds: which seeds.
        setting: what is searched or varied; None for nothing.
        value_of: its value by row.
    """
    runs = []
    for seed in seeds:
        for row in rows:
            overrides = (*request.overrides, *row.overrides)
            folder = request.out / row.name
            if setting is not None and value_of is not None:
                value = value_of[row.name]
                overrides = (*overrides, f"{setting}={value}")
                folder /= f"{setting.rpartition('.')[2]}-{value}"
            runs.append(
                AblationRun(
                    row=row,
                    seed=seed,
                    folder=folder / f"seed{seed}",
                    recipe_backbone=recipe_backbone,
                    overrides=overrides,
                )
            )
    return tuple(runs)
