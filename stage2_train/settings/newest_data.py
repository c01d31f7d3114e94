"""The data set that commands use if none is given; a line on stderr reports it and the reason.

Heavy imports are inside functions.
"""

from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from orn.shared.data_files import is_folder
from orn.shared.echo import echo, is_first_process
from orn.stage2_train.settings.resources import Resources, folders_between

NEWEST = "(newest)"
"""Placeholder for the name of the data set whose detection finished last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestData:
    """Paths of the data set whose detection finished last."""

    manifest: str
    """Name or file of its manifest."""
    data_root: Path
    """Data root of the data set."""
    shards: Path
    """Folder of its shards."""
    clips: Path
    """Folder of its clip store, which may be missing."""


def newest_data(data_root: Path, *, shards: Path | None = None) -> NewestData:
    """Return the data set whose detection finished last, and print it to stderr.

    Args:
        data_root: data root of the command; used if the user gave it, or if the detection recorded
            no data root.
        shards: folder of shards; None for the most recent one.

    Raises:
        PipelineError: if no detection has finished.
        ConfigError: if the manifest is missing.
    """
    from orn.shared.shards.completed import last_completed, manifest_of

    last = last_completed(None if shards is None else [shards])
    manifest = manifest_of(last.plan, remedy="name the file as DATASET")
    if is_first_process():
        echo(last, err=True)
    name, recorded = last.plan.dataset, last.plan.data_root
    if recorded is not None and not _is_typed("data_root") and is_folder(recorded):
        data_root = Path(recorded)
    return NewestData(
        manifest=manifest,
        data_root=data_root,
        shards=last.folder,
        clips=Path("clips", *folders_between(last.folder), name),
    )


def with_newest_data(resources: Resources) -> tuple[str, Resources]:
    """Return the manifest of that data set, and resources completed with its paths; for errors, see
    `newest_data`."""
    data = newest_data(resources.root, shards=resources.shards)
    clips = None if resources.no_clip_store else resources.clips or data.clips
    found = resources.changed(data_root=data.data_root, shards=data.shards, clips=clips)
    return data.manifest, found


def _is_typed(name: str) -> bool:
    """Return whether an option was given on the command line."""
    context = click.get_current_context(silent=True)
    source = None if context is None else context.get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE
