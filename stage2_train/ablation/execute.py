"""Carries out the trainings of an ablation, several at a time, each by the commands of a user.

A training that was stopped goes on where it was; one that is finished and measured is left alone.
"""

import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.environment import usable_cores
from shared.errors import PipelineError, TrainingError
from shared.jobs.progress import progress
from shared.jobs.termination import terminated_as_interrupted
from shared.manifests.load import load_manifest
from stage2_train.ablation.plan import AblationRequest, AblationRun
from stage2_train.model.image_weights import image_network
from stage2_train.training.recipe import default_recipe, load_recipe

__all__ = ["LOG_NAME", "carry_out", "is_measured", "train_command"]

logger = logging.getLogger(__name__)

LOG_NAME = "log.txt"
_LOCK_NAME = "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """A command of a run that went wrong."""

    run: AblationRun
    command: str
    exit_code: int


def is_measured(run: AblationRun, split: str) -> bool:
    """Whether a run is finished and measured on a split."""
    return (run.folder / f"eval-{split}.json").is_file()


def train_command(run: AblationRun, request: AblationRequest) -> list[str]:
    """What follows `orn` to train a run."""
    arguments = ["train", request.manifest, "--data", str(request.data_root)]
    arguments += ["--system", run.row.system, "--seed", str(run.seed), "--run", str(run.folder)]
    arguments += ["--device", request.device, "--workers", "0"]
    for option, value in (
        ("--recipe", request.recipe),
        ("--shards", request.shards),
        ("--clips", request.clips),
        ("--weights", request.weights if _holds_resnet(run, request) else None),
    ):
        arguments += [] if value is None else [option, str(value)]
    arguments += _flags(request)
    for override in run.overrides:
        arguments += ["--set", override]
    return arguments


def _holds_resnet(run: AblationRun, request: AblationRequest) -> bool:
    """Whether a run's network can start from a ResNet's weights: C3D, I3D and an object head that
    looks at no pictures cannot."""
    recipe = load_recipe(
        request.recipe or default_recipe(load_manifest(request.manifest).name),
        num_activities=2,
        overrides=run.overrides,
        system=run.row.system,
        clip_frames=2,
    )
    return image_network(recipe.model) in ("resnet18", "resnet50")


def eval_command(run: AblationRun, request: AblationRequest, split: str) -> list[str]:
    """What follows `orn` to measure a run."""
    arguments = ["eval", str(run.folder), "--split", split, "--data", str(request.data_root)]
    return [*arguments, "--device", request.device, "--workers", "0", *_flags(request)]


def _flags(request: AblationRequest) -> list[str]:
    """Switches that training and measuring share."""
    flags = ["--partial"] if request.partial else []
    return [*flags, "--no-clip-store"] if request.no_clip_store else flags


def carry_out(runs: Sequence[AblationRun], request: AblationRequest, *, split: str) -> None:
    """Trains the runs and measures them on a split, `request.jobs` at a time.

    Ctrl-C and SIGTERM end the trainings that run, too; they go on from their checkpoints next time.

    Raises:
        TrainingError: if some failed, after the others are done; it names them and their logs.
    """
    left = [run for run in runs if not is_measured(run, split)]
    if not left:
        return
    threads = max(1, usable_cores() // request.jobs)
    workers = _Processes(threads)
    failures: list[_Failure] = []
    with progress(f"ablate, {split}", total=len(left), unit="runs") as bar:

        def work(run: AblationRun) -> None:
            failure = _carry_out_one(run, request, split, workers)
            if failure is not None:
                failures.append(failure)
                logger.warning("%s failed; going on with the others", run.title)
            bar.advance(note=run.title)

        with (
            terminated_as_interrupted(),
            ThreadPoolExecutor(request.jobs) as pool,
            workers.stopped_at_the_end(),
        ):
            list(pool.map(work, left))
    if failures:
        listed = "; ".join(
            f"{one.run.title}: `{one.command}` ended with exit code {one.exit_code}, see "
            f"{one.run.folder / LOG_NAME}"
            for one in failures
        )
        raise TrainingError(
            f"{len(failures)} of {len(left)} runs failed: {listed}; the same command tries them "
            "again and leaves the others alone"
        )


def _carry_out_one(
    run: AblationRun, request: AblationRequest, split: str, processes: "_Processes"
) -> _Failure | None:
    """Trains and measures one run in processes of their own; None if all went well."""
    run.folder.mkdir(parents=True, exist_ok=True)
    commands = [eval_command(run, request, split)]
    if not is_measured(run, "validation"):  # which comes first, and only after all training
        commands.insert(0, train_command(run, request))
    with _locked(run.folder) as lock, (run.folder / LOG_NAME).open("ab") as log:
        for arguments in commands:
            exit_code = processes.run(arguments, log=log.fileno(), keep_open=lock)
            if exit_code != 0:
                return _Failure(run=run, command=f"orn {arguments[0]}", exit_code=exit_code)
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Holds the lock of a run; a process that inherits it holds it, too, even when we die.

    Raises:
        PipelineError: if another process works on the run.
    """
    with (folder / _LOCK_NAME).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise PipelineError(
                f"{folder}: another process works on this run; wait for it or end it first"
            ) from err
        yield file.fileno()


class _Processes:
    """Starts commands, and ends those that run when we are told to stop."""

    def __init__(self, threads: int) -> None:
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self._stopped = False

    def run(self, arguments: list[str], *, log: int, keep_open: int) -> int:
        """Runs `orn` with these arguments to its end; returns its exit code."""
        with self._guard:
            if self._stopped:
                return -1
            process = subprocess.Popen(
                [sys.executable, "-m", "shared.cli", *arguments],
                stdout=log,
                stderr=log,
                pass_fds=(keep_open,),
                env=self._environment,
            )
            self._running.add(process)
        exit_code = process.wait()
        with self._guard:
            self._running.discard(process)
        return exit_code

    @contextmanager
    def stopped_at_the_end(self) -> Iterator[None]:
        """Ends what still runs when the block ends, by whatever way."""
        try:
            yield
        finally:
            with self._guard:
                self._stopped = True
                for process in self._running:
                    process.terminate()
