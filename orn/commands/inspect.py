"""The commands `orn inspect` and `orn verify`."""

from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, print_record
from orn.shared.jobs.progress import TERMINAL
from orn.shared.text import counted, escape


@click.command("inspect")
@click.argument("shard", metavar="SHARD", type=options.PATH)
@click.option(
    "--overlay",
    type=options.PATH,
    metavar="OUT",
    help="Draw masks over a video: OUT.mp4.",
)
@click.option(
    *("--video", "video_id"),
    metavar="ID",
    help="Video to draw.  [default: the only one of SHARD]",
)
@click.option(
    "--html",
    type=options.PATH,
    metavar="OUT",
    help="Write a page for a browser: the folder OUT with an index.html and all frames.",
)
@click.option(
    "--score-threshold",
    type=options.FRACTION,
    help="Minimum score of the objects in OUT.  [default: that of the detection]",
)
@click.option(
    "--dataset",
    metavar="DATASET",
    help="Read frames from the videos of this data set.  [default: from the plan next to SHARD]",
)
@options.data("Data root.  [default: from the plan next to SHARD, else that of the data set]")
@options.as_json
def inspect(*, as_json: bool, **typed: Any) -> int:
    """Show the contents of a SHARD: videos, detector, classes and sizes.

    With --overlay, draw masks over a video; with --html, write a page of all frames and their
    objects. Missing frames are gray; the exit code is then 3 for --overlay.
    """
    from orn.inspection.inspect_shard import InspectConfig, inspect_shard

    shown = inspect_shard(options.config_of(InspectConfig, typed), TERMINAL)
    print_record(shown, as_json=as_json)
    return shown.exit_code


@click.command("verify")
@click.argument("paths", metavar="SHARD|FOLDER...", nargs=-1, required=True, type=options.PATH)
@options.as_json
def verify(paths: tuple[Path, ...], *, as_json: bool) -> int:
    """Check every byte and mask of the given shards, or of all shards in the given folders.

    Folders are also checked against their plan, and for duplicate and missing frames. The exit code
    is 1 if there is an error; notes are not errors.
    """
    from orn.inspection.verify import verify_paths

    result = verify_paths(paths, TERMINAL)
    echo_result(result, _problem_lines, as_json=as_json)
    return int(not result["ok"])


def _problem_lines(result: dict[str, Any]) -> str:
    """Return one line per problem, notes last, and a summary line if there is no error."""
    lines = []
    for problem in sorted(result["problems"], key=itemgetter("severity")):
        note = "note: " if problem["severity"] == "note" else ""
        lines.append(escape(f"{problem['shard']}: {note}{problem['message']}"))
    if result["ok"]:
        lines.append(f"ok: {counted(result['shards'], 'shard')}")
    return "\n".join(lines)
