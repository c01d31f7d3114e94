"""Which trainings an ablation consists of, and in which folder each lies."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.rows import AblationRow
from orn.stage2_train.resources import Resources


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
    """One of `rows.TABLES`."""
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
    budget: float | None = None
    """Seconds that each training may take, in place of the recipe's number of steps."""
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

    @property
    def split(self) -> str:
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
