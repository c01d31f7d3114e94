"""The folder whose shards were completed last, the default data set of commands."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import PLAN_NAME, Plan
from orn.shared.shards.shard_format import SHARD_FILES, shard_path
from orn.shared.text import path_text

_FOLDERS = ("*", "*/*")
"""Patterns of folders of shards: `shards/DATASET`, `shards/seed-1/demo` of `orn demo --seed 1`."""


def last_completed(folders: Sequence[Path] | None = None) -> tuple[Path, Plan, str]:
    """Return the complete folder with the most recent shard, its plan, and a line that states which
    data set was selected, and why.

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
            complete.append((_last_time(folder, plan), folder, plan))
    if not complete:
        got = ", ".join(lacking) or "none"
        raise PipelineError(
            f"{where}: expected a complete folder of shards, got {got}; run `make demo` or "
            "`make detect DATASET=...` first (`orn demo`, `orn detect`)"
        )
    when, folder, plan = max(complete, key=itemgetter(0))
    others = "".join(f"; incomplete: {folder}" for folder in lacking)
    line = (
        f"{plan.dataset}: the data set whose detection was completed last "
        f"({path_text(folder)}, {when:%Y-%m-%d %H:%M}){others}"
    )
    return folder, plan, line


def _last_time(folder: Path, plan: Plan) -> datetime:
    """Return the time of the last shard."""
    times = (shard_path(folder, unit.index).stat().st_mtime for unit in plan.units)
    return datetime.fromtimestamp(max(times))
