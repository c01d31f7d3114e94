"""`orn clips`: parse, call the job, print what came out."""

import os
import re
from pathlib import Path

import click

from shared.cli_options import (
    data_option,
    dataset_argument,
    dry_run_option,
    echo_json,
    json_option,
    out_option,
)

__all__ = ["clips"]

SOME_FAILED_EXIT_CODE = 3


def _parse_size(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or "0" in match.groups():
        raise click.BadParameter(f"wanted HEIGHTxWIDTH, such as 256x256, found {text!r}")
    return int(match[1]), int(match[2])


@click.command()
@dataset_argument
@data_option
@out_option("clips/DATASET.h5")
@click.option(
    "--size",
    callback=_parse_size,
    metavar="HEIGHTxWIDTH",
    help="Size of the stored frames.  [default: the manifest's, else 256x256]",
)
@click.option("--quality", type=click.IntRange(50, 95), default=92, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=min(8, os.cpu_count() or 1),
    show_default=True,
    help="Processes that decode.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first so many videos.")
@click.option("--fresh", is_flag=True, help="Throw away what is there and write it again.")
@dry_run_option
@json_option
def clips(
    dataset: str,
    data_root: Path,
    out: Path | None,
    size: tuple[int, int] | None,
    quality: int,
    workers: int,
    limit: int | None,
    fresh: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Decode DATASET's videos once and store their rescaled frames.

    Interrupted, it goes on where it was; run again, it adds what is new.
    """
    from stage2_train.clips import job

    request = job.ClipsRequest(
        manifest=dataset,
        data_root=data_root,
        out=out,
        size=size,
        quality=quality,
        workers=workers,
        limit=limit,
        fresh=fresh,
    )
    result = job.describe_clips(request) if dry_run else job.make_clips(request)
    if as_json:
        echo_json(result)
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in result.items()))
    return SOME_FAILED_EXIT_CODE if result.get("failed") else 0
