"""`orn import-masks`."""

from pathlib import Path
from typing import Literal

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    data_option,
    dataset_argument,
    dry_run_option,
    echo,
    echo_json,
    echo_settings,
    engine_options,
    json_option,
    out_option,
)


@click.command("import-masks")
@dataset_argument
@click.argument("source", metavar="SRC", type=NonEmptyPath(exists=True, file_okay=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(["authors", "epic100"]),
    required=True,
    help="authors: SRC/VIDEO/clip.pkl, the masks for VLOG by the authors of the paper. epic100: "
    "SRC/PXX/PXX_YY.pkl, the masks released with EPIC Kitchens 100.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True, max=1000),
    help="Mask frames a second, for epic100 where the ids are not EPIC's.",
)
@data_option
@out_option("shards/DATASET")
@engine_options("Processes or actors that read.  [default: 1; on Ray one a core]")
@click.option("--fresh", is_flag=True, help="Remove the job that is in the folder, start over.")
@dry_run_option
@json_option
def import_masks(
    dataset: str,
    source: Path,
    form: Literal["authors", "epic100"],
    rate: float | None,
    data_root: Path,
    out: Path | None,
    workers: int | None,
    engine: str,
    address: str | None,
    fresh: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Turn released masks of DATASET, in the folder SRC, into shards in place of `orn detect`.

    The files are pickles and cannot run anything here: what they do not need is refused. An import
    that was cut off goes on where it stopped. Ends with 3 if files could not be imported.
    """
    from orn.shared.errors import ConfigError
    from orn.shared.jobs.engines import choose_engine
    from orn.stage1_detect.imports.job import (
        describe_import,
        exit_code,
        plan_import,
        report,
        run_import,
    )

    if form == "authors" and rate is not None:
        raise ConfigError("--rate is for the format epic100; the authors' masks are at 30 a second")
    units_by = choose_engine(
        engine, workers=workers or (1 if engine == "local" else None), address=address
    )
    job = plan_import(dataset, data_root, source, form=form, folder=out, rate=rate)
    if dry_run:
        echo_settings(describe_import(job), as_json=as_json)
        return 0
    summary = run_import(job, fresh=fresh, engine=units_by)
    for line in report(summary):
        echo(line, err=True)
    if as_json:
        echo_json(summary)
    return exit_code(summary)
