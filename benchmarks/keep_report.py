"""Keeps the report of an experiment under benchmarks/results, with machine, commands and time.

python -m orn.benchmarks.keep_report OUT.json REPORT.json --command "orn ..." --minutes N

Results of `orn ablate` are kept beside it, as OUT.csv, where they are beside the report.
"""

from pathlib import Path
from typing import Any

import click

from orn.benchmarks.harness import describe_machine
from orn.benchmarks.harness import keep as keep_record
from orn.shared.config.bounded import read_bounded, read_json
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.jobs.outputs import check_output_files


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("report", type=click.Path(path_type=Path, exists=True))
@click.option("--command", "commands", multiple=True, help="What was typed, in order.")
@click.option("--minutes", type=click.FloatRange(0), help="What they took together.")
def keep(out: Path, report: Path, commands: tuple[str, ...], minutes: float | None) -> None:
    """Write REPORT to OUT with the machine that it was measured on."""
    results = report.with_suffix(".csv")
    check_output_files([out, out.with_suffix(".csv")], reads=[report, results])
    found = read_json(report)
    try:
        check_commits(found, source=report)
    except ConfigError as err:
        raise click.UsageError(str(err)) from err
    kept = {
        "commands": list(commands),
        "minutes": minutes,
        "machine": describe_machine(),
        "report": found,
    }
    keep_record(kept, out)
    if results.is_file():
        write_bytes(out.with_suffix(".csv"), read_bounded(results))


def check_commits(report: Any, *, source: Path) -> None:
    """Raises ConfigError where a report of `orn ablate` is of runs whose code nobody can get."""
    commits = report.get("commits", []) if isinstance(report, dict) else []
    unknown = [commit for commit in commits if not commit or "-dirty" in commit]
    if unknown:
        raise ConfigError(
            f"{source}: wanted runs of code that is committed, found {unknown}; commit, then "
            "run the comparison again in another --out"
        )


if __name__ == "__main__":
    keep()
