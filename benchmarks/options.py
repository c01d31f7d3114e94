"""Options that every benchmark has."""

from pathlib import Path

import click

from shared.cli_options import json_option

__all__ = ["json_option", "out_option", "repeats_option"]

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
