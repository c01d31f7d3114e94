"""The training runs of an ablation: systems, settings and seeds, and the folder of each run."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from orn.stage2_train.compare.ablate_request import AblationRequest, Settings
from orn.stage2_train.settings.systems import SYSTEMS, System, find_system

_BASELINE_TABLES = (1, 3, 4)
_BESIDE_BASELINES = ("activity-head", "orn")
_LONGEST_LABEL = 120


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
        label = re.sub(r"[^\w.,+=()\[\]-]", "-", ",".join(self.settings))
        if len(label) <= _LONGEST_LABEL:
            return label
        digest = hashlib.sha256(label.encode()).hexdigest()[:8]
        return f"{label[:_LONGEST_LABEL]}-{digest}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out / self.system / self.label / f"seed{self.seed}" / self.fold

    @property
    def title(self) -> str:
        """Name of the run, for messages."""
        return ", ".join(filter(None, (self.system, self.label, f"seed {self.seed}", self.fold)))


def planned_runs(request: AblationRequest) -> tuple[AblationRun, ...]:
    """Return the runs of every system with each value of the varied setting, ordered by seed.

    Raises:
        ConfigError: if a system does not exist.
    """
    systems = table_systems(request.table) if request.table else request.systems
    names = [find_system(name).name for name in systems]
    return tuple(
        AblationRun(system=name, settings=settings, seed=seed, out=request.folder)
        for seed in range(request.num_seeds)
        for settings in _settings(request)
        for name in names
    )


def _settings(request: AblationRequest) -> list[Settings]:
    """Return the settings of each value; a later setting of a key replaces an earlier one."""
    found = []
    for value in request.varied:
        texts = [*request.overrides, *filter(None, (value,))]
        found.append(tuple(sorted({text.partition("=")[0]: text for text in texts}.values())))
    return found


def table_systems(table: str) -> tuple[str, ...]:
    """Return the names of the systems in a table, see `AblationRequest`."""
    tables = _BASELINE_TABLES if table == "baselines" else (int(table),)
    beside = _BESIDE_BASELINES if table == "baselines" else ()
    return (*(each.name for each in SYSTEMS if each.table in tables), *beside)


def paper_results(system: System, table: str | None) -> dict[str, str]:
    """Return the results of a system by data set as printed in a table, or in its own table."""
    tables = _BASELINE_TABLES if table == "baselines" else (int(table) if table else None,)
    found = [system.paper(table) for table in tables]
    return {dataset: text for each in found for dataset, text in each.items()} or system.paper()
