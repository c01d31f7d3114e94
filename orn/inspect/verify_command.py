"""The command `orn verify`."""

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from orn.shared.common_options import AsJson, DataRoot, FilePath
from orn.shared.echo import echo_report
from orn.shared.errors import ConfigError
from orn.shared.options import Argument, Option, command
from orn.shared.text import counted, escape

if TYPE_CHECKING:
    from orn.inspect.verify import Problem


@command("verify")
def verify(
    paths: Annotated[tuple[FilePath, ...], Argument("SHARD|FOLDER")] = (),
    *,
    dataset: Annotated[
        str | None,
        Option(
            "Check folders against the videos of this data set; without paths, shards/DATASET.",
            metavar="DATASET",
        ),
    ] = None,
    data_root: DataRoot = None,
    workers: Annotated[
        Annotated[int, Field(ge=1, le=256)] | None,
        Option("Number of processes.", usual="one per core"),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check every byte and mask of the given shards, or of all shards in the given folders.

    Folders are also checked against their plan, for duplicate and missing frames and, with
    --dataset, for videos that are missing, unlisted or changed. The exit code is 1 if there is an
    error; notes are not errors.
    """
    if not paths and dataset is None:
        raise ConfigError("expected shards or folders, got none; pass some, or use --dataset")
    result = verify_paths(paths, dataset=dataset, data_root=data_root, workers=workers)
    echo_report(result, _as_text, as_json=as_json)
    return int(not result["ok"])


def verify_paths(
    paths: Sequence[Path],
    *,
    dataset: str | None = None,
    data_root: Path | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Check shards, and folders of shards as a whole; return their problems as a JSON object:
    errors and notes, first for shards, then for folders.

    Args:
        paths: shards and folders; if empty, the folder `shards/NAME` of the data set.
        dataset: name or file of the manifest that lists the videos of the folders.
        data_root: folder of all data sets; None: the data set's.
        workers: maximum number of processes; the number of usable cores by default.

    Raises:
        ShardNotFoundError: if a path does not exist or a folder has no shards.
    """
    from orn.data_manifests.load import load_dataset
    from orn.inspect.verify import verify_folder, verify_shards
    from orn.shared.environment import usable_cores
    from orn.shared.jobs.outputs import default_folder
    from orn.shared.jobs.progress import progress
    from orn.shared.shards.shard_folder import shard_paths

    listing = None if dataset is None else load_dataset(dataset, data_root, labels=False)
    if not paths and listing is not None:
        paths = [default_folder("shards", listing.name)]
    folders = list(dict.fromkeys(path for path in paths if path.is_dir()))
    named = [shard for path in paths for shard in (shard_paths(path) if path.is_dir() else [path])]
    shards = list(dict.fromkeys(named))
    problems_of: dict[Path, list[Problem]] = {}
    with progress("verify", total=len(shards), unit="shards") as bar:
        for shard, wrong in verify_shards(shards, workers=workers or usable_cores()):
            problems_of[shard] = wrong
            bar.advance()
    problems = [problem for shard in shards for problem in problems_of[shard]]
    for folder in folders:
        problems += verify_folder(folder, listing)
    return {
        "ok": all(problem.severity != "error" for problem in problems),
        "shards": len(shards),
        "problems": [problem.as_json() for problem in problems],
    }


def _as_text(result: dict[str, Any]) -> str:
    """Return one line per problem, notes last, and a summary line if there is no error."""
    lines = []
    for problem in sorted(result["problems"], key=itemgetter("severity")):
        note = "note: " if problem["severity"] == "note" else ""
        lines.append(escape(f"{problem['shard']}: {note}{problem['message']}"))
    if result["ok"]:
        lines.append(f"ok: {counted(result['shards'], 'shard')}")
    return "\n".join(lines)
