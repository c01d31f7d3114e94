"""What commands take where no data set is named; the first line on stderr says what and why.

Imports nothing heavy before it is called.
"""

from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from orn.shared.data_files import is_folder
from orn.shared.echo import echo, is_first_process
from orn.stage2_train.resources import Resources, folders_between

NEWEST = "(newest)"
"""In place of a data set's name: the one whose objects were completed last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestData:
    """The data set whose objects were completed last."""

    manifest: str
    """Name or file of its manifest."""
    data_root: Path
    """Folder under which it lies."""
    shards: Path
    """Its objects."""
    clips: Path
    """Its clip store, which need not be there."""


def newest_data(data_root: Path, *, shards: Path | None = None) -> NewestData:
    """Return the data set whose objects were completed last, and say which.

    Args:
        data_root: of the command; taken where it was typed, or where it is not known in which
            folder the detected videos lay.
        shards: the folder of its shards, where that is known; None chooses.

    Raises:
        PipelineError: the objects of no data set are complete.
        ConfigError: its manifest is not found.
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


def of_newest_data(resources: Resources) -> tuple[str, Resources]:
    """Return the manifest of that data set, and resources that name what they leave open of it.

    Raises:
        PipelineError, ConfigError: as `newest_data`.
    """
    data = newest_data(resources.root, shards=resources.shards)
    clips = None if resources.no_clip_store else resources.clips or data.clips
    found = resources.changed(data_root=data.data_root, shards=data.shards, clips=clips)
    return data.manifest, found


def _is_typed(name: str) -> bool:
    """Whether an option of the command that runs was given on its command line."""
    context = click.get_current_context(silent=True)
    source = None if context is None else context.get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE
