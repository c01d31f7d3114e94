"""Keeps the report of an experiment under benchmarks/results, with machine, commands and time.

python -m benchmarks.keep_report OUT.json REPORT.json --command "orn ..." --command ... --minutes N
"""

import json
from pathlib import Path

import click

from benchmarks.harness import describe_machine
from shared.jobs.atomic_file import write_text


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("report", type=click.Path(path_type=Path, exists=True))
@click.option("--command", "commands", multiple=True, help="What was typed, in order.")
@click.option("--minutes", type=click.FloatRange(0), help="What they took together.")
def keep(out: Path, report: Path, commands: tuple[str, ...], minutes: float | None) -> None:
    """Write REPORT to OUT with the machine that it was measured on."""
    kept = {
        "commands": list(commands),
        "minutes": minutes,
        "machine": describe_machine(),
        "report": json.loads(report.read_text(encoding="utf-8")),
    }
    write_text(out, json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    keep()
