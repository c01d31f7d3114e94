"""What to say about a data set that is not on this machine: what lies where, and how to get it."""

from pathlib import Path

from orn.shared.errors import DataRootError
from orn.shared.manifests.schema import Manifest
from orn.shared.text_table import shortened

_GENERATED = "demo"
"""First part of the names of data sets that are drawn, not downloaded."""


def absent(manifest: Manifest, data_root: Path, found: str, *, is_shipped: bool) -> DataRootError:
    """Return the error for a data set of which there is nothing to work with.

    Args:
        manifest: the data set.
        data_root: where data sets lie.
        found: what is there instead.
        is_shipped: whether the manifest comes with the project.
    """
    name, labels = manifest.name, manifest.labels
    tables = [getattr(labels, key) for key in labels.lists]
    folder = shortened(str((data_root / manifest.root).absolute()))
    if not is_shipped:
        remedy = "put it there (docs/own_videos.md)"
    elif name.split("-")[0] == _GENERATED:
        remedy = f"draw it with `make demo` or `orn demo world {name}`"
    else:
        remedy = f'get it as data_manifests/README.md says under "{name}"'
    return DataRootError(
        f"data set {name!r}: expected {', '.join(tables)} and {manifest.videos.pattern} in "
        f"{folder}, got {found}; {remedy}, or name the folder that holds {manifest.root} with "
        "--data FOLDER (make: DATA=FOLDER) or the variable ORN_DATA"
    )
