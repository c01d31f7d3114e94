"""What commands take where no data set or run is named; the first line on stderr says what and why.

Imports nothing heavy before it is called.
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import click
from click.core import ParameterSource

from shared.cli_options import is_first_process
from shared.data_files import is_folder, not_a_file
from shared.errors import ConfigError
from stage2_train.resources import Resources, folders_between


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
    from shared.shards.completed import completed_last

    last = completed_last(None if shards is None else [shards])
    if is_first_process():
        click.echo(str(last), err=True)
    name, recorded = last.plan.dataset, last.plan.data_root
    if recorded is not None and not _is_typed("data_root") and is_folder(recorded):
        data_root = Path(recorded)
    return NewestData(
        manifest=_manifest_of(name, last.folder),
        data_root=data_root,
        shards=last.folder,
        clips=Path("clips", *folders_between(last.folder), f"{name}.h5"),
    )


def of_newest_data(resources: Resources) -> tuple[str, Resources]:
    """Return the manifest of that data set, and resources that name what they leave open of it.

    Raises:
        PipelineError, ConfigError: as `newest_data`.
    """
    data = newest_data(resources.root, shards=resources.shards)
    clips = None if resources.no_clip_store else resources.clips or data.clips
    found = replace(resources, data_root=data.data_root, shards=data.shards, clips=clips)
    return data.manifest, found


def chosen_run(run: Path | None, dataset: str | None = None) -> Path:
    """Return the run that is given, or the newest one, on a data set or any, and say which.

    Raises:
        ConfigError: there is none, or the one that is given is on another data set.
    """
    from shared.manifests.load import load_manifest
    from stage2_train.runs.run_folder import dataset_of, newest_run

    if run is not None and dataset is None:
        return run
    name = None if dataset is None else load_manifest(dataset).name
    if run is None:
        run = newest_run(name)
        if run is None:
            raise ConfigError(_no_run(dataset, name))
        if is_first_process():
            click.echo(f"{run}: the newest run on {name or dataset_of(run)}", err=True)
    elif dataset_of(run) not in (name, None):
        raise ConfigError(
            f"{run}: wanted a run on {name}, found one on {dataset_of(run)}; leave out RUN or "
            "--dataset"
        )
    return run


def _no_run(dataset: str | None, name: str | None) -> str:
    wanted, detected = "a run", " (after `make demo` or `make detect DATASET=...`)"
    if name is not None:
        wanted, detected = f"a run on {name}", ""
    return (
        f"runs: expected {wanted} with a checkpoint, got none; type "
        f"`{shlex.join(filter(None, ('orn', 'train', dataset)))}` first{detected}, or name the "
        "folder of one that lies elsewhere"
    )


def _manifest_of(name: str, folder: Path) -> str:
    """Name or file of the manifest of a data set that was detected."""
    from shared.manifests.load import dataset_names

    own = f"{name}.toml"
    if name in dataset_names():
        return name
    if not_a_file(own) is None:
        return own
    raise ConfigError(
        f"{folder}: expected the manifest of its data set at {own}, got no such file; name the "
        "file as DATASET"
    )


def _is_typed(name: str) -> bool:
    """Whether an option of the command that runs was given on its command line."""
    context = click.get_current_context(silent=True)
    source = None if context is None else context.get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE
