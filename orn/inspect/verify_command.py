"""The command `orn verify`."""

from operator import itemgetter
from typing import Annotated, Any

from pydantic import Field

from orn.shared.common_options import AsJson, DataRoot, FilePath
from orn.shared.echo import echo_result
from orn.shared.errors import ConfigError
from orn.shared.options import Argument, Option, command
from orn.shared.text import counted, escape


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
    from orn.inspect.verify import verify_paths

    result = verify_paths(paths, dataset=dataset, data_root=data_root, workers=workers)
    echo_result(result, _as_text, as_json=as_json)
    return int(not result["ok"])


def _as_text(result: dict[str, Any]) -> str:
    """Return one line per problem, notes last, and a summary line if there is no error."""
    lines = []
    for problem in sorted(result["problems"], key=itemgetter("severity")):
        note = "note: " if problem["severity"] == "note" else ""
        lines.append(escape(f"{problem['shard']}: {note}{problem['message']}"))
    if result["ok"]:
        lines.append(f"ok: {counted(result['shards'], 'shard')}")
    return "\n".join(lines)
