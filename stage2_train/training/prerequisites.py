"""Prerequisites of training: shards and a clip store, and the commands that create them."""

import logging
import os
import shlex
from collections.abc import Callable, Sequence

from orn.shared.errors import PipelineError, ShardNotFoundError
from orn.shared.jobs.child_processes import run_orn
from orn.shared.shards.index import shard_paths
from orn.stage2_train.clip_store.clip_store import is_clip_store
from orn.stage2_train.settings.resources import Resources

logger = logging.getLogger(__name__)

_STDERR = 2
_SOME_VIDEOS_FAILED = 3
"""Exit code of a command that failed for some videos; training itself reports missing segments."""


def require_prepared(
    manifest: str,
    dataset_name: str,
    resources: Resources,
    *,
    may_run: Sequence[str] = (),
    before: Callable[[], object] | None = None,
) -> None:
    """Ensure that shards exist and, unless clips are decoded, a clip store.

    Args:
        manifest: name or file of the manifest, as given by the user.
        dataset_name: name of the data set.
        resources: paths of shards and the clip store.
        may_run: commands (`detect`, `clips`) that may be run to create missing data; empty for a
            command without --prepare.
        before: called before these commands run, if they may create all missing data.

    Raises:
        PipelineError: if data is missing, with the commands that create it; or if a command fails.
    """
    missing = _missing(manifest, dataset_name, resources)
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # otherwise each process would run them
    if missing and not (alone and all(each[0] in may_run for each in missing.values())):
        expected = " and ".join(missing)
        typed = " && ".join(shlex.join(["orn", *arguments]) for arguments in missing.values())
        hint = ", or pass --prepare" if alone and may_run else ""
        raise PipelineError(
            f"{dataset_name}: expected {expected}, got none; run `{typed}` first{hint}"
        )
    if before is not None:
        before()
    for arguments in missing.values():
        logger.info("running %s first", shlex.join(["orn", *arguments]))
        run_orn(arguments, stdout=_STDERR, done=(0, _SOME_VIDEOS_FAILED))


def _missing(manifest: str, dataset_name: str, resources: Resources) -> dict[str, list[str]]:
    """Return the missing data, each with the arguments of `orn` that create it."""
    data = ["--data", str(resources.root)] if resources.root != Resources().root else []
    shards, clips = resources.shards_of(dataset_name), resources.clips_of(dataset_name)
    missing = {}
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        out = ["--out", str(shards)] if resources.shards else []
        missing[f"shards in {shards}"] = ["detect", manifest, *data, *out]
    if clips is not None and not is_clip_store(clips):
        out = ["--out", str(clips)] if resources.clips else []
        missing[f"clip store {clips}"] = ["clips", manifest, *data, *out]
    return missing
