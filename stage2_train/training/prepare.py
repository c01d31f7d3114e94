"""What a training needs first, shards and a clip store, and the commands that make them."""

import shlex
import subprocess
import sys

from shared.errors import PipelineError, ShardNotFoundError
from shared.jobs.termination import Terminated, terminated_as_interrupted
from shared.shards.reader import shard_paths
from stage2_train.resources import Resources

__all__ = ["require_prepared"]

_SOME_VIDEOS_FAILED = 3
"""Exit code of a command that did all it could; training says itself what it lacks then."""


def require_prepared(
    manifest: str, dataset_name: str, resources: Resources, *, prepare: bool | None = None
) -> None:
    """Makes sure that there are shards and, unless clips are decoded, a clip store.

    Args:
        manifest: name or file of the manifest, as the user gave it.
        dataset_name: its name.
        resources: where they should be.
        prepare: whether to make what is missing; None where the command has no such option.

    Raises:
        PipelineError: if something is missing, with the commands that make it; or if one failed.
    """
    missing = _missing(manifest, dataset_name, resources)
    if missing and not prepare:
        what = " and ".join(f"no {name}" for name in missing)
        typed = " && ".join(shlex.join(["orn", *arguments]) for arguments in missing.values())
        hint = "" if prepare is None else ", or give --prepare to have it done"
        raise PipelineError(f"{dataset_name}: found {what}; type `{typed}` first{hint}")
    for arguments in missing.values():
        code = _exit_code(arguments)
        if code not in (0, _SOME_VIDEOS_FAILED):
            raise PipelineError(
                f"`{shlex.join(['orn', *arguments])}` ended with exit code {code}; its message is "
                "above"
            )


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


def _exit_code(arguments: list[str]) -> int:
    """Runs `orn` with these arguments in a process of its own, which ends with this one."""
    with (
        terminated_as_interrupted(),
        subprocess.Popen(
            [sys.executable, "-m", "shared.cli", *arguments],
            stdout=2,  # for people, too
        ) as process,
    ):
        try:
            return process.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated):  # ctrl-C reaches it from the terminal
                process.terminate()
            process.wait()
            raise
