"""The command `orn export`."""

from pathlib import Path

import click

from orn.commands import options
from orn.commands.output import echo, echo_json


@click.command("export")
@click.argument("run", metavar="RUN", type=options.PATH)
@options.out_argument
@options.as_json
def export(run: Path, out: Path, *, as_json: bool) -> None:
    """Export the network of RUN to the folder OUT, which can be used without the run and its data.

    OUT contains the weights as safetensors, a configuration and a model card (README.md). Pass OUT,
    or hf://ORG/NAME for a model on the Hugging Face Hub, to `orn predict` and `orn eval` in place
    of a run.
    """
    from orn.shared.jobs.workers import terminated_as_interrupted
    from orn.stage2_train.runs.export_model import export_run

    with terminated_as_interrupted():
        names = export_run(run, out)
    if as_json:
        echo_json({"folder": str(out), "files": list(names)})
    else:
        echo(f"{out}: {', '.join(names)}", err=True)
