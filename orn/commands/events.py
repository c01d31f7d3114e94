"""The commands `orn events`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import print_record

_replace = click.option(
    "--replace", is_flag=True, help="Replace an existing file, and keep a copy of it beside it."
)


@click.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=options.PATH)
@click.option(
    *("--format", "form"),
    type=click.Choice(["boris", "boris-events", "deepethogram", "feral", "frames"]),
    required=True,
    help="boris: a project. boris-events: a table of tabular or aggregated events. deepethogram: "
    "VIDEO_labels.csv. feral: a JSON file. frames: text files with the label of each frame.",
)
@click.option("--out", type=options.PATH, required=True, help="The table to write.")
@click.option("--rate", type=float, help="Frames per second, for labels of frames.")
@_replace
@options.as_json
def import_events(*, as_json: bool, **typed: Any) -> None:
    """Convert intervals from other tools to a table with the columns video, start, stop, label.

    `orn run TABLE.csv --intervals` learns from such a table. Videos keep the names of their files,
    and the folders in which two of one name differ; put the table beside them, or pass --videos to
    `orn manifest new`. What cannot be used is named, such as a live observation. Videos without an
    event, and what was watched of the others, are written to observed.csv beside the table.
    """
    from orn.data_manifests.convert_events import ImportEventsConfig
    from orn.data_manifests.convert_events import import_events as library

    print_record(library(options.config_of(ImportEventsConfig, typed)), as_json=as_json)


@click.command("export")
@click.argument("table", metavar="TABLE.csv", type=options.PATH)
@click.option(
    *("--format", "form"),
    type=click.Choice(["boris", "boris-events", "feral"]),
    required=True,
    help="boris: a project, in which people can correct the intervals. boris-events: a table of "
    "aggregated events. feral: a JSON file.",
)
@click.option("--out", type=options.PATH, required=True, help="The file to write.")
@click.option(
    "--videos", type=options.PATH, required=True, help="Folder where the paths in the table start."
)
@_replace
@options.as_json
def export_events(*, as_json: bool, **typed: Any) -> None:
    """Export a table of intervals, such as that of `orn predict --csv`, for other tools."""
    from orn.data_manifests.convert_events import ExportEventsConfig
    from orn.data_manifests.convert_events import export_events as library

    print_record(library(options.config_of(ExportEventsConfig, typed)), as_json=as_json)
