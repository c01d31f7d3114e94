"""The runs of an ablation: rows of a table, variants, seeds and run folders.

A row is a system from the paper, or a control: a system with modified settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orn.shared.config.files import apply_overrides
from orn.shared.errors import ConfigError
from orn.shared.nearest import nearest
from orn.stage2_train.ablation.request import AblationRequest, Variant
from orn.stage2_train.model.summary import count_parameters
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.systems import SYSTEMS, find_system

LATE_FUSION = "late-fusion"
_BASELINE_TABLES = (1, 3, 4)
_BESIDE_BASELINES = ("activity-head", "orn")
_LEFT_OUT = {
    "wide-activity-head": "the wide activity head has no ImageNet weights to start from; use "
    "--set initial_weights=random for all rows"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """A system or control that is trained with several seeds and compared with the others."""

    name: str
    """Name of the system or control."""
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
        recipe: recipe of the rows; determines the width of the wide activity head.

    Raises:
        ConfigError: if a wanted row is not in the table or cannot be trained with the recipe.
    """
    if table == "controls":
        rows = _controls(recipe)
    elif table == "baselines":
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
            why = _LEFT_OUT.get(name, f"did you mean {nearest(name, names)!r}?")
            raise ConfigError(
                f"system {name!r}: expected one of table {table}, {', '.join(names)}; {why}"
            )
    return tuple(row for row in rows if row.name in wanted or not wanted)


def wide_activity_head(recipe: Recipe) -> int:
    """Return the base width that gives the activity head as many parameters as both heads.

    It is the smallest width that gives at least as many parameters as both heads of the recipe.
    """
    wanted = count_parameters(apply_overrides(recipe.model, ["heads=both"]))
    width = recipe.model.base_width
    while count_parameters(replace(recipe.model, heads="activity", base_width=width)) < wanted:
        width += 1
    return width


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


def _controls(recipe: Recipe) -> tuple[AblationRow, ...]:
    wide = []
    if recipe.initial_weights == "random":
        width = wide_activity_head(recipe)
        title = f"activity head with as many parameters as orn: base width {width}"
        wide = [("wide-activity-head", "activity-head", f"model.base_width={width}", title)]
    changed = (
        ("one-frame", "activity-head", "data.clip_frames=1", "activity head on a single frame"),
        *wide,
        ("shuffled-frames", "orn", "data.controls.frame_order=shuffled",
         "frames of a clip in random order"),
        ("boxes", "orn", "data.controls.object_masks=boxes", "boxes instead of masks"),
        ("mixed-classes", "orn", "data.controls.object_classes=shuffled",
         "classes shuffled among the objects of a frame"),
    )  # fmt: skip
    rows = {
        name: _system_row(name, recipe)
        for name in ("activity-head", "orn", "coco-class", "coco-shape", "coco-intra")
    }
    return (
        *rows.values(),
        *(
            replace(rows[system], name=name, title=title, overrides=(override,), paper={})
            for name, system, override, title in changed
        ),
    )
