"""The manifest of each fold of a cross-validation: a copy with a different column of splits."""

from collections.abc import Sequence
from pathlib import Path

from orn.data_manifests.load import data_root_of, load_manifest, recorded_data_root
from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.records import fold_names
from orn.shared.config.toml_files import to_toml
from orn.shared.jobs.atomic_file import write_text


def folds_of(manifest: str | Manifest) -> tuple[str, ...]:
    """Return the names of a manifest's folds; empty if it has a single split."""
    labels = load_manifest(manifest).labels
    return fold_names(labels.folds or 0) if isinstance(labels, TableLabels) else ()


def write_fold_manifests(manifest: str, paths: Sequence[Path]) -> None:
    """Write a copy of a manifest for each path, whose stem is the column of splits."""
    opened = load_manifest(manifest)
    values = opened.model_dump(mode="json", exclude_unset=True)
    for path in paths:
        if opened.data_root is not None:
            values["data_root"] = recorded_data_root(data_root_of(opened, None), path)
        labels = {**values["labels"], "split": path.stem}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, to_toml({**values, "labels": labels}))
