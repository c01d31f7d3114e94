"""The commands `orn demo` and `orn demo world`."""

from functools import partial
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, echo_text
from orn.shared.jobs.progress import TERMINAL
from orn.shared.text_summary import text_of


@click.command("demo")
@options.seed
@options.as_json
def demo(*, seed: int | None, as_json: bool) -> None:
    """Run the whole pipeline once: generate films, detect their objects, train, and evaluate.

    Writes to data/, shards/, clips/ and runs/ in the current folder. Completed steps are skipped.
    """
    from orn.demo.demo_steps import as_summary, demo_pipeline, run_demo

    pipeline = demo_pipeline(seed or 0)
    summary = run_demo(seed or 0, TERMINAL)
    echo_result(summary, partial(as_summary, pipeline=pipeline), as_json=as_json)


@click.command("world")
@options.data_root
@options.seed
def demo_world(**typed: Any) -> None:
    """Write the films of the demo world to --data, with their label table.

    A complete world is skipped, and an interrupted one resumes.
    """
    from orn.demo.world import WorldConfig, draw_world

    world = draw_world(options.config_of(WorldConfig, typed), TERMINAL)
    echo_text(text_of(world.summary()), err=True)
