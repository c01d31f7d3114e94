"""The manifest of each fold of a cross-validation: a copy with a different column of splits."""

import re
from collections.abc import Sequence
from pathlib import Path

from orn.shared.config.toml_files import toml_value
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.manifests.draw_split import fold_names
from orn.shared.manifests.load import load_manifest
from orn.shared.manifests.manifest import TableLabels


def folds_of(manifest: str) -> tuple[str, ...]:
    """Return the names of a manifest's folds; empty if it has a single split."""
    labels = load_manifest(manifest).labels
    return fold_names(labels.folds or 0) if isinstance(labels, TableLabels) else ()


def write_fold_manifests(manifest: str, paths: Sequence[Path]) -> None:
    """Write a copy of a manifest for each path, whose stem is the column of splits.

    Raises:
        ConfigError: if the copies would differ in anything else.
    """
    original = load_manifest(manifest)
    text = original.source.read_text("utf-8")
    for path in paths:
        line = f"split = {toml_value(path.stem)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, re.sub(r"(?m)^split *=.*$", line, text, count=1))
        if load_manifest(path).labels != original.labels.model_copy(update={"split": path.stem}):
            raise ConfigError(
                f"{manifest}: expected one line with the key split in the section labels, such as "
                f"{line!r}; correct it"
            )
