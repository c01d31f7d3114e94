"""The runs of an ablation: rows of a table, variants, seeds and run folders.

A row is a system from the paper, or a control: a system with modified settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orn.shared.errors import ConfigError
from orn.shared.nearest import nearest
from orn.stage2_train.ablation.request import AblationRequest, Variant
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.systems import SYSTEMS, find_system

LATE_FUSION = "late-fusion"
_BASELINE_TABLES = (1, 3, 4)
_BESIDE_BASELINES = ("activity-head", "orn")


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """A system that is trained with several seeds and compared with the others."""

    name: str
    """Name of the row."""
    title: str
    """Short description."""
    system: str
    """Name of the system that is trained."""
    overrides: tuple[str, ...] = ()
    """Recipe settings to override."""
    paper: dict[str, str] = field(default_factory=dict)
    """Results by data set, as printed in the paper."""
    backbone: str
    """ResNet that defines the system, otherwise the ResNet of the recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One training run."""

    row: AblationRow
    seed: int
    folder: Path
    """The run folder."""
    overrides: tuple[str, ...] = ()
    """Recipe settings to override, including the overrides of the row and the variant."""
    value: str = ""
    """Name of the variant; empty if nothing is varied."""

    @property
    def title(self) -> str:
        """Name of the run, for messages."""
        value = f", {self.value}" if self.value else ""
        return f"{self.row.name}{value}, seed {self.seed}"


def planned_runs(
    request: AblationRequest,
    rows: Sequence[AblationRow],
    variants: Sequence[Variant] | None = None,
    *,
    seeds: Sequence[int] | None = None,
) -> tuple[AblationRun, ...]:
    """Return the runs for every variant of every row, ordered by seed.

    Variants that do not change a row share the run folders of that row.

    Args:
        variants: by default the variants in the request, or a single variant without settings.
        seeds: by default the seeds in the request.
    """
    if variants is None:
        variants = request.variation.variants if request.variation else (Variant(name=""),)
    runs = []
    for seed in request.seeds if seeds is None else seeds:
        for variant in variants:
            for row in rows:
                own = variant.settings if row.name in variant.systems or not variant.systems else ()
                label = (variant.label or f"variant-{variant.name}") if own else ""
                folder = request.folder / row.name / label / f"seed{seed}"
                overrides = (*request.overrides, *row.overrides, *own)
                run = AblationRun(
                    row=row, seed=seed, folder=folder, overrides=overrides, value=variant.name
                )
                runs.append(run)
    return tuple(runs)


def table_rows(table: str, wanted: Sequence[str], recipe: Recipe) -> tuple[AblationRow, ...]:
    """Return rows of a table, in table order.

    Args:
        table: see `AblationRequest`.
        wanted: names of the rows to return; all if empty.
        recipe: recipe of the rows.

    Raises:
        ConfigError: if a wanted row is not in the table or cannot be trained with the recipe.
    """
    if table == "baselines":
        introduced = tuple(s.name for s in SYSTEMS if s.table in _BASELINE_TABLES)
        rows = tuple(
            _system_row(name, recipe, tables=_BASELINE_TABLES)
            for name in (*introduced, *_BESIDE_BASELINES)
        )
    else:
        rows = tuple(_system_row(s.name, recipe) for s in SYSTEMS if s.table == int(table))
    names = tuple(row.name for row in rows)
    for name in wanted:
        if name not in names:
            raise ConfigError(
                f"system {name!r}: expected one of table {table}, {', '.join(names)}; did you mean "
                f"{nearest(name, names)!r}?"
            )
    return tuple(row for row in rows if row.name in wanted or not wanted)


def _system_row(name: str, recipe: Recipe, *, tables: Sequence[int] = ()) -> AblationRow:
    """Return the row for a system with its results in these tables, or in its introducing table."""
    system = find_system(name)
    figures = [system.paper(table) for table in tables] or [system.paper()]
    return AblationRow(
        name=name,
        title=system.title,
        system=name,
        paper={dataset: figure for table in figures for dataset, figure in table.items()},
        backbone=system.changes.get("backbone", recipe.model.backbone),
    )
