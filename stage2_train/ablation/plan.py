"""Which trainings an ablation consists of: rows of a table, variants, seeds; and their folders.

Rows are systems of the paper, and controls: systems under other settings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orn.shared.config.bounded import read_json
from orn.shared.config.files import apply_overrides
from orn.shared.errors import ConfigError
from orn.shared.manifests.records import Split
from orn.shared.nearest import nearest
from orn.stage2_train.model.summary import count_parameters
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.resources import Resources
from orn.stage2_train.systems import SYSTEMS, find_system

LATE_FUSION = "late-fusion"
COUNTS = "class-counts"
"""The row of leak reports that says what counts of objects tell."""
TABLES = ("2", "5", "baselines", "controls", "leaks")
_LEAKS = ("coco-class-object-head", "coco-shape-object-head", "one-frame", "shuffled-frames")
_BASELINE_TABLES = (1, 3, 4)
_BESIDE_BASELINES = ("activity-head", "orn")
_LEFT_OUT = {
    "wide-activity-head": "the wide activity head has no ImageNet weights to start from; use "
    "--set initial_weights=random for all rows"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """What is trained with several seeds and compared with the other rows."""

    name: str
    """Of a system, or of a control."""
    title: str
    """What it is, in a few words."""
    system: str
    """Name of the system that is trained."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe to replace."""
    paper: dict[str, str] = field(default_factory=dict)
    """Data set to figure as the paper prints it."""
    backbone: str
    """The ResNet that the system is defined by, else the recipe's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way in which systems are trained."""

    name: str
    """What reports call it, such as the value of what is varied."""
    settings: tuple[str, ...] = ()
    """Settings of the recipe to replace; without any, its runs are those of the plain system."""
    systems: tuple[str, ...] = ()
    """Whose settings they replace, all if empty. The others are as the plain system is."""
    label: str = ""
    """Of its folder; empty for `arm-NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """What every system is trained with each arm of."""

    name: str
    """Of the setting whose values the arms are, or `arm`."""
    arms: tuple[Arm, ...]
    """At least one, in the order of reports."""

    @staticmethod
    def of_setting(key: str, values: Sequence[str]) -> "Variation":
        """An arm a value of one setting."""
        short = key.rpartition(".")[2]
        arms = [
            Arm(name=value, settings=(f"{key}={value}",), label=f"{short}-{value}")
            for value in values
        ]
        return Variation(name=key, arms=tuple(arms))


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRequest:
    """What `orn ablate` was asked for."""

    manifest: str
    """Name or file of the manifest."""
    table: str
    """One of `TABLES`."""
    out: Path
    """Folder of the runs."""
    resources: Resources = field(default_factory=Resources)
    """Data, and what each training computes with."""
    systems: tuple[str, ...] = ()
    """Only these rows of the table; all of them if empty."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of each system."""
    recipe: str | None = None
    """Name or file of the recipe, the same for all systems; None takes the data set's."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe to replace, for all systems."""
    search: Variation | None = None
    """What is chosen for each system on the validation split."""
    vary: Variation | None = None
    """What every system is trained and measured with each arm of."""
    primary: tuple[tuple[str, str], ...] = ()
    """Pairs of systems, the first expected to be better, which the comparison is made for."""
    floor: float | None = None
    """Percent that a system reaches without seeing what labels are about; None takes chance."""
    late_fusion: bool = False
    """Whether the mean of the logits of `activity-head` and `object-head` is compared, too."""
    curve: tuple[str, str] | None = None
    """What differs from the ablations of `points`, and its value here."""
    points: dict[str, Path] = field(default_factory=dict)
    """Values on that curve, and the JSON reports of their ablations."""
    over_seconds: bool = False
    """Whether curves are drawn against seconds of training."""
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
        if self.points and (self.curve is None or self.curve[1] in self.points):
            raise ConfigError(
                "--point: expected --curve NAME=VALUE with the value of this ablation, one that no "
                "point has; add it"
            )
        if self.curve is not None and (self.vary is not None or not self.points):
            raise ConfigError(
                "--curve: expected --point VALUE=REPORT.json of other ablations, and neither "
                "--vary nor --arm; name the other points"
            )

    @property
    def split(self) -> Split:
        """What is reported."""
        return "test" if self.test else "validation"

    @property
    def report_name(self) -> str:
        """Of the files of the report, without their endings."""
        varied = "" if self.vary is None else f"-{self.vary.name.rpartition('.')[2]}"
        return f"{self.name or f'table-{self.table}{varied}'}-{self.split}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One training."""

    row: AblationRow
    """What is trained."""
    seed: int
    """Its seed."""
    folder: Path
    """The run folder."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe to replace, those of row and arm among them."""
    value: str = ""
    """Name of the arm; empty where nothing is varied."""

    @property
    def title(self) -> str:
        """For messages."""
        value = f", {self.value}" if self.value else ""
        return f"{self.row.name}{value}, seed {self.seed}"


def planned_runs(
    request: AblationRequest,
    rows: Sequence[AblationRow],
    arms: Sequence[Arm] | None = None,
    *,
    seeds: Sequence[int] | None = None,
) -> tuple[AblationRun, ...]:
    """The runs of every arm of every row, seed by seed. Arms that change nothing of a row have the
    same folders.

    Args:
        arms: None takes those of what the request varies, else a plain one.
        seeds: None takes those of the request.
    """
    if arms is None:
        arms = request.vary.arms if request.vary else (Arm(name=""),)
    runs = []
    for seed in request.seeds if seeds is None else seeds:
        for arm in arms:
            for row in rows:
                own = arm.settings if row.name in arm.systems or not arm.systems else ()
                label = (arm.label or f"arm-{arm.name}") if own else ""
                folder = request.out / row.name / label / f"seed{seed}"
                overrides = (*request.overrides, *row.overrides, *own)
                run = AblationRun(
                    row=row, seed=seed, folder=folder, overrides=overrides, value=arm.name
                )
                runs.append(run)
    return tuple(runs)


def table_rows(table: str, wanted: Sequence[str], recipe: Recipe) -> tuple[AblationRow, ...]:
    """The rows of a table in its order, or the wanted ones of them.

    Args:
        table: one of `TABLES`.
        wanted: names; all of the table if empty.
        recipe: what the rows are trained by; decides how wide a control has to be.

    Raises:
        ConfigError: if one that is wanted is not in the table, or cannot be trained by the recipe.
    """
    if table == "controls":
        rows = _controls(recipe)
    elif table == "leaks":
        known = (*(_system_row(name, recipe) for name in _LEAKS[:2]), *_controls(recipe))
        rows = tuple(row for row in known if row.name in _LEAKS)
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
                f"system {name!r}: wanted one of table {table}, {', '.join(names)}; {why}"
            )
    return tuple(row for row in rows if row.name in wanted or not wanted)


def wide_activity_head(recipe: Recipe) -> int:
    """The smallest base width at which the activity head alone has as many parameters as both heads
    have at the recipe's."""
    wanted = count_parameters(apply_overrides(recipe.model, ["heads=both"]))
    width = recipe.model.base_width
    while count_parameters(replace(recipe.model, heads="activity", base_width=width)) < wanted:
        width += 1
    return width


def _system_row(name: str, recipe: Recipe, *, tables: Sequence[int] = ()) -> AblationRow:
    """A system, with the figures of these tables, or of the one that introduces it."""
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
        title = f"the activity head with as many parameters as orn: base width {width}"
        wide = [("wide-activity-head", "activity-head", f"model.base_width={width}", title)]
    changed = (
        ("one-frame", "activity-head", "data.clip_frames=1", "the activity head of one frame"),
        *wide,
        ("shuffled-frames", "orn", "data.controls.frame_order=shuffled",
         "frames of a clip in random order"),
        ("boxes", "orn", "data.controls.object_masks=boxes", "boxes in place of masks"),
        ("mixed-classes", "orn", "data.controls.object_classes=shuffled",
         "classes dealt out anew among the objects of a frame"),
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


def counts_floor(path: Path) -> float:
    """Return the percent that counts of objects tell by the report of `orn leaks`: what systems
    have to be above to have learned from the same shards.

    Raises:
        ConfigError: if the file is something else, or knows nothing of objects.
    """
    try:
        return float({row["name"]: row["mean"] for row in read_json(path)["rows"]}[COUNTS])
    except (LookupError, TypeError, ValueError) as err:
        raise ConfigError(
            f"{path}: expected a report of `orn leaks` with a row {COUNTS}, got none; run `orn "
            "leaks` again where the shards are"
        ) from err
