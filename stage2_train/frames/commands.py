"""`orn clips`: parse, call the job, print what came out."""

import re
from typing import Any

import click

from orn.shared.cli_options import (
    NumberRange,
    data_option,
    dry_run_option,
    echo,
    echo_json,
    engine_options,
    json_option,
    out_option,
)
from orn.shared.text import counted
from orn.stage2_train.newest_data import newest_data

SOME_FAILED_EXIT_CODE = 3
_LONGEST_SIDE = 4096
"""In pixels of a stored frame, as long as the longest crop of a recipe."""


def _parse_size(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if match is None:
        raise click.BadParameter(f"wanted HEIGHTxWIDTH, such as 256x256, found {text!r}")
    height, width = int(match[1]), int(match[2])
    if max(height, width) > _LONGEST_SIDE:
        raise click.BadParameter(f"wanted sides of at most {_LONGEST_SIDE}, found {text}")
    return height, width


@click.command()
@click.argument("dataset", required=False)
@data_option
@out_option("clips/DATASET")
@click.option(
    "--size",
    callback=_parse_size,
    metavar="HEIGHTxWIDTH",
    help="Size of the stored frames.  [default: the manifest's, else 256x256]",
)
@click.option(
    "--short-side",
    type=click.IntRange(1, _LONGEST_SIDE),
    metavar="PIXELS",
    help="Keep the shape of each video and bring its shorter side to this length.",
)
@click.option("--quality", type=click.IntRange(50, 95), default=92, show_default=True)
@click.option(
    "--rate",
    type=NumberRange(0, 1000, min_open=True),
    help="Frames a second to store, the nearest to each time.  [default: every frame]",
)
@click.option(
    "--frames",
    type=click.Choice(["all", "labelled"]),
    help="Whole videos, or the times of their segments.  [default: labelled where segments have "
    "times]",
)
@engine_options("Processes or actors that decode.  [default: one a core]")
@click.option("--limit", type=click.IntRange(1, 10**9), help="Only the first so many videos.")
@click.option("--fresh", is_flag=True, help="Throw away what is there and write it again.")
@click.option("--retry-failed", is_flag=True, help="Try videos again that could not be decoded.")
@click.option(
    "--verify",
    is_flag=True,
    help="Check the store instead: every picture, every checksum, every source.",
)
@click.option(
    "--compact",
    is_flag=True,
    help="Remove frames that newer ones replace, and join small files, instead.",
)
@dry_run_option
@json_option
def clips(
    dataset: str | None, verify: bool, compact: bool, dry_run: bool, as_json: bool, **options: Any
) -> int:
    """Decode DATASET's videos once and store their rescaled frames; without DATASET, those of the
    data set whose objects were completed last.

    Interrupted, it goes on where it was; run again, it adds what is new or has changed. --dry-run
    estimates the size. Ends with 3 if some videos could not be decoded, with 1 if --verify finds
    anything wrong.
    """
    from orn.stage2_train.frames.make_clips import (
        ClipsRequest,
        compact_clips,
        describe_clips,
        make_clips,
        verify_clips,
    )

    if dataset is None:
        data = newest_data(options["data_root"])
        dataset = data.manifest
        options |= {"data_root": data.data_root, "out": options["out"] or data.clips}
    request = ClipsRequest(manifest=dataset, **options)
    if verify:
        return _print_problems(verify_clips(request), as_json=as_json)
    job = describe_clips if dry_run else compact_clips if compact else make_clips
    result = job(request)
    if as_json:
        echo_json(result)
    else:
        for name, value in result.items():
            echo(f"{name}: {value}")
    return SOME_FAILED_EXIT_CODE if result.get("failed") else 0


def _print_problems(result: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        echo_json(result)
    else:
        for problem in result["problems"]:
            where = f"{result['path']}: {problem['video']}" if problem["video"] else result["path"]
            echo(f"{where}: {problem['message']}")
        if result["ok"]:
            echo(f"ok: {counted(result['videos'], 'video')}")
    return 0 if result["ok"] else 1
