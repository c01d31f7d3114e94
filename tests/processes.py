"""Processes for tests: from a server that has imported what takes long, once for all of them."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_IMPORTED = (
    "pytest",
    "hypothesis",
    "orn.cli",
    "orn.stage1_detect.detect",
    "orn.stage2_train.clips.batches",
    "orn.stage2_train.runs.trained",
    "orn.prediction.predict_job",
    "tests.conformance.readers",
)


def new_processes() -> Any:
    """Where new processes come from; as a user's they have one thread, and no state of a test."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


def start_alone(main: Callable[..., int], *arguments: Any, output: Path) -> Any:
    """Starts what gives an exit code in a session of its own, and the environment of this process.

    Args:
        main: of a module, as it is pickled.
        arguments: what it is called with.
        said: a file for what it writes to its standard error.
    """
    work = (main, arguments, output, dict(os.environ))
    process = new_processes().Process(target=_run, args=work)
    process.start()
    return process


def _run(
    main: Callable[..., int], arguments: Any, output: Path, environment: dict[str, str]
) -> None:
    os.setsid()
    take_environment(environment)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 2)
    sys.exit(main(*arguments))


def take_environment(environment: dict[str, str]) -> None:
    """Gives this process the variables of another one, rather than those of the server."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # may have been asked for before
