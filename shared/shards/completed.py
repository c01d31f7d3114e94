"""Which folder of shards was completed last, and the manifest of its data set.

This is what commands take where no data set is named.

A folder is complete when each unit of its plan has its shard.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path

from orn.shared.config.bounded import file_digest
from orn.shared.data_files import not_a_file
from orn.shared.errors import ConfigError, ManifestError, PipelineError, UnknownDatasetError
from orn.shared.jobs.plan import PLAN_NAME, Plan
from orn.shared.manifests.load import load_manifest
from orn.shared.shards.files import SHARD_FILES, shard_path
from orn.shared.text import path_text

logger = logging.getLogger(__name__)

SHARDS = Path("shards")
"""The folder below which shards lie, unless `--out` says otherwise."""
_FOLDERS = ("*", "*/*")
"""Below it: `shards/DATASET`, and `shards/short/demo` of `orn demo --short`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedShards:
    """A folder of shards that has all units of its plan."""

    folder: Path
    """Where the shards are."""
    plan: Plan
    """What they are of."""
    when: datetime
    """When the last shard was written."""
    passed_over: tuple[str, ...] = ()
    """Folders that were looked at, too, and what they lack."""

    def __str__(self) -> str:
        """Which data set it is, and why."""
        others = "".join(f"; passed over: {each}" for each in self.passed_over)
        return (
            f"{self.plan.dataset}: the data set whose objects were completed last "
            f"({path_text(self.folder)}, {self.when:%Y-%m-%d %H:%M}){others}"
        )


def last_completed(folders: Sequence[Path] | None = None) -> CompletedShards:
    """Return the complete folder whose last shard is the newest.

    Args:
        folders: those to choose from; None for those below `shards`.

    Raises:
        PipelineError: none of them is complete.
    """
    where = str(SHARDS) if folders is None else ", ".join(map(path_text, folders))
    if folders is None:
        folders = [folder for pattern in _FOLDERS for folder in sorted(SHARDS.glob(pattern))]
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
        found = ", ".join(lacking) or "none"
        raise PipelineError(
            f"{where}: expected a data set whose objects are complete, got {found}; type "
            "`make demo` or `make detect DATASET=...` first (`orn demo`, `orn detect`)"
        )
    return replace(max(complete, key=attrgetter("when")), passed_over=tuple(lacking))


def _when(folder: Path, plan: Plan) -> datetime:
    """When the last shard was written."""
    times = (shard_path(folder, unit.index).stat().st_mtime for unit in plan.units)
    return datetime.fromtimestamp(max(times))


def manifest_of(plan: Plan, *, remedy: str) -> str:
    """Return the name or file of the manifest of the data set that a plan is of.

    Args:
        plan: of a folder of shards.
        remedy: what to do where the manifest is not found, for the message.

    Raises:
        UnknownDatasetError: if it is not found.
        ManifestError: if its file holds another one now.
    """
    if plan.manifest is None:
        try:
            load_manifest(plan.dataset)
        except UnknownDatasetError as err:
            raise UnknownDatasetError(f"{err}; {remedy}") from err
        return plan.dataset
    path = Path(plan.manifest.path)
    if problem := not_a_file(path):
        raise UnknownDatasetError(
            f"{path}: expected the manifest of {plan.dataset!r}, got: {problem}; {remedy}"
        )
    name = load_manifest(path).name
    if name != plan.dataset:
        raise ManifestError(
            f"{path}: expected the manifest of {plan.dataset!r}, got that of {name!r}; {remedy}"
        )
    if file_digest(path) != plan.manifest.digest:
        logger.info("%s has changed since these shards were made", path)
    return str(path)
