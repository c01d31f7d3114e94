"""The folder whose shards were completed last, the default data set of commands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import PLAN_NAME, Plan
from orn.shared.shards.shard_format import SHARD_FILES, shard_path
from orn.shared.text import path_text

_FOLDERS = ("*", "*/*")
"""Patterns of folders of shards: `shards/DATASET`, `shards/seed-1/demo` of `orn demo --seed 1`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedShards:
    """A folder with shards for all units of its plan."""

    folder: Path
    """Folder of the shards."""
    plan: Plan
    """Their plan."""
    when: datetime
    """Time of the last shard."""
    incomplete: tuple[str, ...] = ()
    """Other, incomplete folders, with the reason."""

    def __str__(self) -> str:
        """Return a line that states which data set was selected, and why."""
        others = "".join(f"; incomplete: {folder}" for folder in self.incomplete)
        return (
            f"{self.plan.dataset}: the data set whose detection was completed last "
            f"({path_text(self.folder)}, {self.when:%Y-%m-%d %H:%M}){others}"
        )


def last_completed(folders: Sequence[Path] | None = None) -> CompletedShards:
    """Return the complete folder with the most recent shard.

    Args:
        folders: candidates; None for all folders in `shards`.

    Raises:
        PipelineError: if no folder is complete.
    """
    where = "shards" if folders is None else ", ".join(map(path_text, folders))
    if folders is None:
        parent = default_folder("shards")
        folders = [folder for pattern in _FOLDERS for folder in sorted(parent.glob(pattern))]
    complete, lacking = [], []
    for folder in folders:
        try:
            plan = Plan.load(folder)
        except ConfigError:
            lacking.append(f"{path_text(folder)} (its {PLAN_NAME} is damaged)")
            continue
        if plan is None:
            continue
        missing, number = len(SHARD_FILES.missing(plan.units, folder)), len(plan.units)
        if missing:
            lacking.append(f"{path_text(folder)} ({number - missing} of {number} shards)")
        elif number:
            complete.append(CompletedShards(folder=folder, plan=plan, when=_when(folder, plan)))
    if not complete:
        got = ", ".join(lacking) or "none"
        raise PipelineError(
            f"{where}: expected a complete folder of shards, got {got}; run `make demo` or "
            "`make detect DATASET=...` first (`orn demo`, `orn detect`)"
        )
    return replace(max(complete, key=attrgetter("when")), incomplete=tuple(lacking))


def _when(folder: Path, plan: Plan) -> datetime:
    """Return the time of the last shard."""
    times = (shard_path(folder, unit.index).stat().st_mtime for unit in plan.units)
    return datetime.fromtimestamp(max(times))
