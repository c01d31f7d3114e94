"""The commands that create missing shards and clips."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from orn.shared.errors import PipelineError, ShardNotFoundError
from orn.shared.shards.shard_folder import shard_paths
from orn.stage2_train.clip_store.clip_store import is_clip_store
from orn.stage2_train.settings.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingData:
    """Shards or a clip store that do not exist."""

    place: str
    """What is missing and where, for messages."""
    arguments: tuple[str, ...]
    """Arguments of `orn` that create it; the command comes first."""


def missing_data(
    manifest: str, dataset_name: str, resources: Resources, *, clips: Sequence[str] = ()
) -> list[MissingData]:
    """Return missing shards and, unless clips are decoded, a missing clip store.

    Args:
        manifest: name or file of the manifest, as given by the user.
        dataset_name: name of the data set.
        resources: paths of shards and the clip store.
        clips: options of `orn clips`.
    """
    data = [] if resources.data_root is None else ["--data", str(resources.data_root)]
    shards, store = resources.shards_of(dataset_name), resources.clips_of(dataset_name)
    missing = []
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        out = ["--out", str(shards)] if resources.shards else []
        arguments = ("detect", manifest, *data, *out)
        missing.append(MissingData(place=f"shards in {shards}", arguments=arguments))
    if store is not None and not is_clip_store(store):
        out = ["--out", str(store)] if resources.clips else []
        arguments = ("clips", manifest, *data, *out, *clips)
        missing.append(MissingData(place=f"clip store {store}", arguments=arguments))
    return missing


def refuse_missing(missing: Sequence[MissingData], dataset_name: str) -> None:
    """Raise PipelineError with the places of missing data and the commands to create it, if any."""
    if missing:
        expected = " and ".join(data.place for data in missing)
        typed = " && ".join(shlex.join(["orn", *data.arguments]) for data in missing)
        raise PipelineError(f"{dataset_name}: expected {expected}, got none; run `{typed}` first")
