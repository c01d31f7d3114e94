"""`orn verify`. (`orn inspect` is where clip stores are known: `stage2_train.clips.commands`.)"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli_options import data_option, echo_json, json_option

if TYPE_CHECKING:
    from shared.inspect.verification import Verification


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
    show_verification(verification, as_json=as_json)
    return verification.exit_code


def show_verification(verification: "Verification", *, as_json: bool) -> None:
    """Prints what is wrong, or that nothing is."""
    if as_json:
        echo_json(verification.as_json())
    else:
        click.echo(verification.as_text())


def one_shard(path: Path) -> Path:
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
