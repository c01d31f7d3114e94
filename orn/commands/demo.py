"""The command `orn demo`."""

from functools import partial

import click

from orn.commands import options
from orn.commands.output import echo_result
from orn.shared.jobs.progress import TERMINAL


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
