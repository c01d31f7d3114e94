"""The commands that create missing shards and clips."""

import shlex
from collections.abc import Sequence

from orn.shared.errors import PipelineError, ShardNotFoundError
from orn.shared.shards.shard_folder import shard_paths
from orn.stage2_train.clip_store.clip_store import is_clip_store
from orn.stage2_train.settings.resources import Resources


def missing_data(
    manifest: str, dataset_name: str, resources: Resources, *, clips: Sequence[str] = ()
) -> list[list[str]]:
    """Return the arguments of the commands that create missing shards and, unless clips are
    decoded, a missing clip store.

    Args:
        manifest: name or file of the manifest, as given by the user.
        dataset_name: name of the data set.
        resources: paths of shards and the clip store.
        clips: options of `orn clips`.
    """
    data = ["--data", str(resources.root)] if resources.root != Resources().root else []
    shards, store = resources.shards_of(dataset_name), resources.clips_of(dataset_name)
    missing = []
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        out = ["--out", str(shards)] if resources.shards else []
        missing.append(["detect", manifest, *data, *out])
    if store is not None and not is_clip_store(store):
        out = ["--out", str(store)] if resources.clips else []
        missing.append(["clips", manifest, *data, *out, *clips])
    return missing


def require_no(missing: Sequence[Sequence[str]], dataset_name: str) -> None:
    """Raise PipelineError with the commands that create missing data, if there are any."""
    if missing:
        expected = {"detect": "shards", "clips": "a clip store"}
        names = " and ".join(expected[command] for command, *_ in missing)
        typed = " && ".join(shlex.join(["orn", *arguments]) for arguments in missing)
        raise PipelineError(f"{dataset_name}: expected {names}, got none; run `{typed}` first")
