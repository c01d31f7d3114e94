"""The commands that create missing shards and clips."""

import shlex

from orn.shared.errors import PipelineError, ShardNotFoundError
from orn.shared.shards.shard_folder import shard_paths
from orn.stage2_train.clip_store.clip_store import is_clip_store
from orn.stage2_train.clip_store.clips_command import clips
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.settings.resources import Resources


def lacks_store(dataset_name: str, resources: Resources) -> bool:
    """Return whether there is no clip store of a data set, but should be one."""
    store = resources.clips_of(dataset_name)
    return store is not None and not is_clip_store(store)


def refuse_missing(
    manifest: str, dataset_name: str, resources: Resources, *, store: ClipsRequest | None
) -> None:
    """Raise PipelineError if there are no shards or no clip store, with the commands that create
    them.

    Args:
        manifest: name or file of the manifest, as given by the user.
        dataset_name: name of the data set.
        resources: paths of shards and the clip store.
        store: request that creates the clip store; None if it may be missing.
    """
    missing: dict[str, str] = {}
    shards = resources.shards_of(dataset_name)
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        data = ["--data", str(resources.data_root)] if resources.data_root else []
        out = ["--out", str(shards)] if resources.shards else []
        missing[f"shards in {shards}"] = shlex.join(["orn", "detect", manifest, *data, *out])
    if store is not None and lacks_store(dataset_name, resources):
        missing[f"clip store {resources.clips_of(dataset_name)}"] = clips.typed(request=store)
    if missing:
        expected, typed = " and ".join(missing), " && ".join(missing.values())
        raise PipelineError(f"{dataset_name}: expected {expected}, got none; run `{typed}` first")
