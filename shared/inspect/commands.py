"""`orn inspect` and `orn verify`."""

from dataclasses import asdict
from pathlib import Path

import click

from shared.cli_options import echo_json, json_option

__all__ = ["inspect", "verify"]


@click.command()
@click.argument("shard", type=click.Path(path_type=Path))
@click.option("--video", "video_id", metavar="ID", help="Show one frame of this video.")
@click.option("--frame", "index", type=click.IntRange(min=0), help="Which frame, from 0.")
@json_option
def inspect(shard: Path, video_id: str | None, index: int | None, as_json: bool) -> None:
    """Show what a SHARD holds: its videos, detector, classes and sizes.

    With --video or --frame, what was found in one frame.
    """
    from shared.inspect.frame import find_frame, frame_text, frame_to_dict
    from shared.inspect.summary import summarise, summary_text, summary_to_dict
    from shared.shards.reader import Shard

    opened = Shard(_one_shard(shard))
    if video_id is None and index is None:
        summary = summarise(opened)
        if as_json:
            echo_json(summary_to_dict(summary))
        else:
            click.echo(summary_text(summary))
        return
    frame = find_frame(opened, video_id=video_id, index=index)
    if as_json:
        echo_json(frame_to_dict(frame))
    else:
        click.echo(frame_text(frame))


@click.command()
@click.argument(
    "paths", metavar="SHARD|FOLDER...", type=click.Path(path_type=Path), nargs=-1, required=True
)
@json_option
def verify(paths: tuple[Path, ...], as_json: bool) -> int:
    """Check shards, or all shards of folders: checksums, lengths, order and every mask.

    Ends with 1 if anything is wrong.
    """
    from shared.progress import progress
    from shared.shards.reader import shard_paths
    from shared.shards.verify import verify_shard

    named = [shard for path in paths for shard in (shard_paths(path) if path.is_dir() else [path])]
    shards = list(dict.fromkeys(named))
    problems = []
    with progress("verify", total=len(shards), unit="shards") as bar:
        for shard in shards:
            problems += verify_shard(shard)
            bar.advance()
    if as_json:
        listed = [asdict(problem) | {"shard": str(problem.shard)} for problem in problems]
        echo_json({"ok": not problems, "shards": len(shards), "problems": listed})
    else:
        for problem in problems:
            click.echo(f"{problem.shard}: {problem.array}: {problem.message}")
        if not problems:
            click.echo(f"ok: {len(shards)} shard{'s' if len(shards) != 1 else ''}")
    return 1 if problems else 0


def _one_shard(path: Path) -> Path:
    """The shard at `path`; of a folder, its only one.

    Raises:
        ShardNotFoundError: if there is no such shard, or several.
    """
    from shared.errors import ShardNotFoundError
    from shared.shards.reader import shard_paths

    if not path.is_dir():
        return path
    shards = shard_paths(path)
    if len(shards) > 1:
        raise ShardNotFoundError(
            f"{path} holds {len(shards)} shards; name one, such as {shards[0]}"
        )
    return shards[0]
