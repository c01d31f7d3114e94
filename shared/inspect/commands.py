"""`orn inspect` and `orn verify`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli_options import data_option, echo_json, json_option

if TYPE_CHECKING:
    from shared.inspect.verification import Verification

__all__ = ["inspect", "verify"]


@click.command()
@click.argument("shard", type=click.Path(path_type=Path))
@click.option("--video", "video_id", metavar="ID", help="Show one frame of this video.")
@click.option("--frame", "index", type=click.IntRange(min=0), help="Which frame, from 0.")
@click.option("--verify", "do_verify", is_flag=True, help="Check the shard as `orn verify` does.")
@json_option
def inspect(
    shard: Path, video_id: str | None, index: int | None, do_verify: bool, as_json: bool
) -> int:
    """Show what a SHARD holds: its videos, detector, classes and sizes.

    With --video or --frame, what was found in one frame. With --verify, what is wrong with the
    shard instead, and 1 at the end, if anything is.
    """
    from shared.inspect.frame import find_frame, frame_text, frame_to_dict
    from shared.inspect.summary import summarise, summary_text, summary_to_dict
    from shared.shards.shard import Shard

    path = _one_shard(shard)
    if do_verify:
        from shared.inspect.verification import verify_paths

        verification = verify_paths([path])
        if verification.exit_code:
            _show(verification, as_json=as_json)
            return 1
        click.echo(f"{path}: whole", err=True)
    opened = Shard(path)
    if video_id is None and index is None:
        summary = summarise(opened)
        if as_json:
            echo_json(summary_to_dict(summary))
        else:
            click.echo(summary_text(summary))
        return 0
    frame = find_frame(opened, video_id=video_id, index=index)
    if as_json:
        echo_json(frame_to_dict(frame))
    else:
        click.echo(frame_text(frame))
    return 0


@click.command()
@click.argument("paths", metavar="SHARD|FOLDER...", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--dataset",
    metavar="DATASET",
    help="Also check folders against the videos of this data set; alone, shards/DATASET.",
)
@data_option
@json_option
def verify(paths: tuple[Path, ...], dataset: str | None, data_root: Path, as_json: bool) -> int:
    """Check shards, or all shards of folders, down to every byte and every mask.

    Folders are also checked as a whole: against their plan, for frames in two shards or in none,
    and, with --dataset, for videos that are missing, not listed, or have changed. Ends with 1 if
    anything is wrong; notes are no faults.
    """
    from shared.inspect.verification import verify_paths

    if not paths and dataset is None:
        raise click.UsageError("name shards, folders of shards, or a data set with --dataset")
    verification = verify_paths(paths, dataset=dataset, data_root=data_root)
    _show(verification, as_json=as_json)
    return verification.exit_code


def _show(verification: "Verification", *, as_json: bool) -> None:
    if as_json:
        echo_json(verification.as_json())
    else:
        click.echo(verification.as_text())


def _one_shard(path: Path) -> Path:
    """The shard at `path`; of a folder, its only one.

    Raises:
        ShardNotFoundError: if there is no such shard, or several.
    """
    from shared.errors import ShardNotFoundError
    from shared.shards.index import shard_paths

    if not path.is_dir():
        return path
    shards = shard_paths(path)
    if len(shards) > 1:
        raise ShardNotFoundError(
            f"{path} holds {len(shards)} shards; name one, such as {shards[0]}"
        )
    return shards[0]
