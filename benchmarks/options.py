"""Options that every benchmark has."""

from pathlib import Path

import click

from shared.cli_options import json_option

__all__ = ["growth_option", "json_option", "out_option", "repeats_option", "threads_option"]

out_option = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to keep the result in."
)
"""`out`: Path | None, for `benchmarks.result.publish`."""

repeats_option = click.option(
    "--repeats",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often each side is measured, in turns; the median counts.",
)
"""`repeats`: int."""

threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Threads of each side.",
)
"""`threads`: int, for `benchmarks.timing.using_threads`."""

growth_option = click.option(
    "--growth",
    is_flag=True,
    help="Also measure 5, 10, 20 and 40 objects and 4, 8 and 16 frames.",
)
"""`growth`: bool."""
