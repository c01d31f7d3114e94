"""The command `orn bench gpu`."""

from pathlib import Path
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result
from orn.shared.errors import SOME_FAILED
from orn.shared.text_summary import summary_of


@click.command("gpu")
@click.option(
    "--out",
    type=options.PATH,
    required=True,
    help="Folder of the records, one per measurement; existing ones are kept.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 10000),
    help="Time limit of all measurements.  [default: 8.0]",
)
@options.device
@click.option("--tiny", is_flag=True, help="Use tiny sizes, for a test run.")
@options.as_json
def gpu(*, out: Path, as_json: bool, **typed: Any) -> int:
    """Run all benchmarks of detection and training on a GPU.

    The measurements cover detection in every precision and with batches of 1 to 16; training steps
    of both ResNets; the loader; an exact resume. They run in order of importance, and each
    writes its own file: rerun the command to resume with the missing ones. The exit code is 3 if a
    measurement failed or ran out of time.
    """
    from orn.benchmarks.gpu import measure_all

    usual: dict[str, Any] = {"minutes": 8.0, "device": "auto", "tiny": False}
    records = measure_all(out, **(usual | options.given(typed)))
    echo_result(records, lambda rows: summary_of({"measurement": rows}), as_json=as_json)
    return 0 if all(record["state"] == "done" for record in records) else SOME_FAILED
