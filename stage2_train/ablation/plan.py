"""Which trainings an ablation consists of, and in which folder each lies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError
from stage2_train.ablation.rows import AblationRow

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
    data_root: Path
    """Folder under which data sets lie."""
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
    shards: Path | None = None
    """Folder of the shards."""
    clips: Path | None = None
    """The clip store."""
    weights: Path | None = None
    """File with a torchvision ResNet's weights that every row starts from."""
    partial: bool = False
    """Whether segments whose video is not there may be left out."""
    no_clip_store: bool = False
    """Whether clips are decoded from their videos."""
    name: str | None = None
    """Of the report; None for that of the table."""
    test: bool = False
    """Whether the test split is read once everything is trained; else validation is reported."""
    jobs: int = 1
    """Trainings at the same time."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""

    def __post_init__(self) -> None:
        """Raises ConfigError if values are to be searched and varied at once, or if the name is
        none of a file."""
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
