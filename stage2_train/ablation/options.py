"""Options of every command that trains several systems with several seeds."""

import click

__all__ = ["jobs_option", "seeds_option"]

seeds_option = click.option(
    "--seeds", "num_seeds", type=click.IntRange(1), default=3, show_default=True
)
"""`num_seeds`: int."""

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trainings at the same time; they share the cores.",
)
"""`jobs`: int."""
