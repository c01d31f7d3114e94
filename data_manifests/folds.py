"""The manifest of each fold of a cross-validation: a copy with a different column of splits."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orn.data_manifests.load import data_root_of, load_manifest, recorded_data_root
from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.records import fold_names
from orn.shared.config.toml_files import to_toml
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text


def folds_of(manifest: str | Manifest) -> tuple[str, ...]:
    """Return the names of a manifest's folds; empty if it has a single split."""
    labels = load_manifest(manifest).labels
    return fold_names(labels.folds or 0) if isinstance(labels, TableLabels) else ()


def requested_folds(
    manifest: str, *, folds: int | None, group: str | None
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the names of the folds to use, and for folds that the manifest does not have, the
    changes of its labels: a table of splits of their own, next to the label table.

    Raises:
        ConfigError: if the manifest has other folds or no label table.
    """
    opened = load_manifest(manifest)
    labels, own = opened.labels, folds_of(opened)
    if group is not None and folds is None:
        raise ConfigError("--group requires --folds")
    if folds is None or (folds == len(own) and group in (None, getattr(labels, "group", None))):
        return own, {}
    if own or not isinstance(labels, TableLabels):
        got = f"{len(own)} folds with different options" if own else f"format {labels.format}"
        raise ConfigError(
            f"{manifest}: expected a table of labels without folds, or with those of --folds "
            f"{folds} and --group, got {got}; omit --folds, or create a manifest for a table with "
            "`orn manifest new`"
        )
    group = group or labels.group
    ending = f"-{re.sub(r'[^A-Za-z0-9_-]', '-', group)}" if group else ""
    changes = {"split_table": f"folds-{folds}{ending}.csv", "folds": folds, "group": group}
    return fold_names(folds), {name: value for name, value in changes.items() if value is not None}


def write_fold_manifests(
    manifest: str, paths: Sequence[Path], changes: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write a copy of a manifest for each path, whose stem is the column of splits.

    Args:
        manifest: the manifest.
        paths: the copies.
        changes: other values in the section labels.
    """
    opened = load_manifest(manifest)
    values = opened.model_dump(mode="json", exclude_unset=True)
    for path in paths:
        if opened.data_root is not None:
            values["data_root"] = recorded_data_root(data_root_of(opened, None), path)
        labels = {**values["labels"], **changes, "split": path.stem}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, to_toml({**values, "labels": labels}))
