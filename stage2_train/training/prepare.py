"""What a training needs first: shards and a clip store, the commands that make them, and that the
shards are whole."""

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator

from shared.errors import PipelineError, ShardNotFoundError
from shared.jobs.commands import run_orn
from shared.shards.index import shard_paths
from shared.shards.verified import unverified, verify_all
from stage2_train.devices import main_progress
from stage2_train.resources import Resources

logger = logging.getLogger(__name__)

_STDERR = 2
_SOME_VIDEOS_FAILED = 3
"""Exit code of a command that did all it could; training says itself what it lacks then."""


def require_prepared(
    manifest: str, dataset_name: str, resources: Resources, *, may_run: Sequence[str] = ()
) -> None:
    """Makes sure that there are shards and, unless clips are decoded, a clip store.

    Args:
        manifest: name or file of the manifest, as the user gave it.
        dataset_name: its name.
        resources: where they should be.
        may_run: `detect`, `clips`: commands that may be run to make what is missing; none for a
            command that has no --prepare.

    Raises:
        PipelineError: if something is missing, with the commands that make it; or if one failed.
    """
    missing = _missing(manifest, dataset_name, resources)
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # of several processes, each would run them
    if missing and not (alone and all(each[0] in may_run for each in missing.values())):
        what = " and ".join(f"no {name}" for name in missing)
        typed = " && ".join(shlex.join(["orn", *arguments]) for arguments in missing.values())
        hint = ", or give --prepare to have it done" if alone and may_run else ""
        raise PipelineError(f"{dataset_name}: found {what}; type `{typed}` first{hint}")
    for arguments in missing.values():
        logger.info("first: %s", shlex.join(["orn", *arguments]))
        run_orn(arguments, stdout=_STDERR, done=(0, _SOME_VIDEOS_FAILED))


def _missing(manifest: str, dataset_name: str, resources: Resources) -> dict[str, list[str]]:
    """What is not there, and what follows `orn` to make it."""
    data = ["--data", str(resources.root)] if resources.root != Resources().root else []
    shards, clips = resources.shards_of(dataset_name), resources.clips_of(dataset_name)
    missing = {}
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        out = ["--out", str(shards)] if resources.shards else []
        missing[f"shards in {shards}"] = ["detect", manifest, *data, *out]
    if clips is not None and not clips.is_file():
        out = ["--out", str(clips)] if resources.clips else []
        missing[f"clip store {clips}"] = ["clips", manifest, *data, *out]
    return missing


def require_verified(shards: Sequence[Path], accelerator: Accelerator, *, workers: int) -> None:
    """Verifies the shards that never were; processes that train together share them.

    Raises:
        ShardFormatError: if one is not whole.
    """
    todo = unverified(shards[accelerator.process_index :: accelerator.num_processes])
    if not todo:
        return
    if accelerator.is_main_process:
        logger.info(
            "%d of %d shards are new here, and verified once before they are trained on",
            len(todo) * accelerator.num_processes,
            len(shards),
        )
    with main_progress(accelerator, "verify", total=len(todo), unit="shards") as bar:
        verify_all(todo, workers=workers, bar=bar)
