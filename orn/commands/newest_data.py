"""The data set that commands use if none is given: the one whose detection finished last.

This module imports nothing heavy, because the help of these commands needs it.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.outputs import default_folder
from orn.shared.text import path_text
from orn.stage2_train.settings.resources import DataPaths, folders_between

if TYPE_CHECKING:
    from orn.shared.jobs.plan import Plan
    from orn.shared.jobs.progress import Reporter


_FOLDERS = ("*", "*/*")
"""Patterns of folders of shards: `shards/DATASET`, `shards/seed-1/demo` of `orn demo --seed 1`."""


def newest_data(
    data_root: Path | None, reporter: "Reporter", *, shards: Path | None = None
) -> DataPaths:
    """Return the paths of the data set whose detection finished last.

    Args:
        data_root: data root that the user gave; None: the one that the detection recorded, if it
            exists, else that of the data set.
        reporter: shows which data set it is, and why.
        shards: folder of shards; None for the most recent one.

    Raises:
        PipelineError: if no detection has finished.
        ConfigError: if the manifest is missing.
    """
    from orn.data_manifests.load import data_root_of, load_manifest, manifest_of

    folder, plan, line = last_completed(None if shards is None else [shards])
    manifest = manifest_of(plan, remedy="name the file as DATASET")
    reporter.line(line)
    name, recorded = plan.dataset, plan.data_root
    if recorded is not None and data_root is None and os.path.isdir(recorded):
        data_root = Path(recorded)
    return DataPaths(
        manifest=manifest,
        data_root=data_root_of(load_manifest(manifest), data_root),
        shards=folder,
        clips=default_folder("clips", *folders_between(folder), name),
    )


def last_completed(folders: Sequence[Path] | None = None) -> tuple[Path, "Plan", str]:
    """Return the complete folder with the most recent shard, its plan, and a line that states which
    data set was selected, and why.

    Args:
        folders: candidates; None for all folders in `shards`.

    Raises:
        PipelineError: if no folder is complete.
    """
    from orn.shared.jobs.plan import PLAN_NAME, Plan
    from orn.shared.shards.shard_format import SHARD_FILES, shard_path

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
            times = (shard_path(folder, unit.index).stat().st_mtime for unit in plan.units)
            complete.append((datetime.fromtimestamp(max(times)), folder, plan))
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
