"""Carries out the trainings of an ablation, several at a time, each in a process of its own.

A training that was stopped goes on where it was; one that is finished and measured is left alone.
"""

import logging
import multiprocessing
import os
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path

from orn.shared.config.bounded import open_to_append
from orn.shared.errors import ConfigError, PipelineError, TrainingError
from orn.shared.jobs.commands import LOG_NAME
from orn.shared.jobs.lock import locked
from orn.shared.jobs.log_lines import line_handler
from orn.shared.jobs.progress import progress
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.manifests.load import load_manifest
from orn.shared.text import counted
from orn.stage2_train.ablation.plan import AblationRequest, AblationRun
from orn.stage2_train.evaluation.evaluate import EvalRequest, evaluate
from orn.stage2_train.model.image_weights import (
    ImageNetwork,
    fetch_imagenet_weights,
    image_network,
)
from orn.stage2_train.recipe import Recipe, default_recipe, load_recipe
from orn.stage2_train.resources import wait_passively
from orn.stage2_train.training.backbone import imagenet_needed
from orn.stage2_train.training.train import TrainRequest, train

logger = logging.getLogger(__name__)


def is_measured(run: AblationRun, split: str) -> bool:
    """Whether a run is finished and measured on a split."""
    return (run.folder / f"eval-{split}.json").is_file()


def train_request(run: AblationRun, request: AblationRequest) -> TrainRequest:
    """How a run is trained."""
    resources = request.resources
    return TrainRequest(
        manifest=request.manifest,
        resources=replace(resources, threads=resources.num_threads(jobs=request.jobs)),
        recipe=request.recipe,
        system=run.row.system,
        overrides=run.overrides,
        run=run.folder,
        weights=request.weights if _holds_resnet(_recipe(run, request)) else None,
        seed=run.seed,
    )


def weights_needed(
    runs: Sequence[AblationRun], request: AblationRequest
) -> tuple[ImageNetwork, ...]:
    """Return the 2D networks whose published weights runs still have to start from."""
    found = set()
    for run in runs:
        recipe = _recipe(run, request)
        file = request.weights if _holds_resnet(recipe) else None
        with suppress(ConfigError):  # a damaged run fails alone, when its turn comes
            found.add(imagenet_needed(recipe, file, run.folder))
    return tuple(sorted(name for name in found if name is not None))


def _holds_resnet(recipe: Recipe) -> bool:
    """Whether a network can start from a ResNet's weights: C3D, I3D and an object head that looks
    at no pictures cannot."""
    return image_network(recipe.model) in ("resnet18", "resnet50")


def _recipe(run: AblationRun, request: AblationRequest) -> Recipe:
    return load_recipe(
        request.recipe or default_recipe(load_manifest(request.manifest).name),
        num_activities=2,
        overrides=run.overrides,
        system=run.row.system,
        clip_frames=2,
    )


def first_command(run: AblationRun, request: AblationRequest) -> str:
    """What a user would type to train a run alone."""
    wanted = train_request(run, request)
    resources = wanted.resources
    options = {
        "--data": resources.root,
        "--system": wanted.system,
        "--seed": wanted.seed,
        "--run": wanted.run,
        "--device": resources.device,
        "--workers": resources.workers,
        "--threads": resources.threads,
        "--recipe": wanted.recipe,
        "--shards": resources.shards,
        "--clips": resources.clips,
        "--weights": wanted.weights,
    }
    words = ["orn", "train", wanted.manifest]
    for name, value in options.items():
        words += [] if value is None else [name, str(value)]
    words += ["--partial"] if resources.partial else []
    words += ["--no-clip-store"] if resources.no_clip_store else []
    for override in wanted.overrides:
        words += ["--set", override]
    return shlex.join(words)


def carry_out(
    runs: Sequence[AblationRun],
    request: AblationRequest,
    *,
    split: str | None,
    max_steps: int | None = None,
) -> None:
    """Trains the runs and measures them on a split, `request.jobs` at a time.

    Ctrl-C and SIGTERM end the trainings that run, too; they go on from their checkpoints next time.

    Args:
        split: None measures nothing.
        max_steps: after which trainings stop; None trains to the end.

    Raises:
        CheckpointError: if weights that runs start from cannot be fetched.
        TrainingError: if some failed, after the others are done; it names them and their logs.
    """
    by_folder: dict[Path, AblationRun] = {}  # which arms may share
    for run in runs:
        by_folder.setdefault(run.folder, run)
    left = [run for run in by_folder.values() if split is None or not is_measured(run, split)]
    if not left:
        return
    for name in weights_needed(left, request):
        fetch_imagenet_weights(name)
    wait_passively()  # processes inherit it
    processes = _Processes()
    failures: list[str] = []
    with progress(f"ablate, {split or 'rates'}", total=len(left), unit="runs") as bar:

        def work(run: AblationRun) -> None:
            wanted = replace(train_request(run, request), max_steps=max_steps)
            own = replace(wanted.resources, shards=None, clips=None)  # which the run records
            measured = split and EvalRequest(run=run.folder, resources=own, split=split)
            # The validation split comes first, and only after all training.
            training = None if is_measured(run, "validation") else wanted
            exit_code = processes.run(run.folder, training, measured or None)
            if processes.stopped:
                return
            if exit_code != 0:
                log = run.folder / LOG_NAME
                failures.append(f"{run.title}: ended with exit code {exit_code}, see {log}")
                logger.warning("%s failed; going on with the others", run.title)
            bar.advance(note=run.title)

        with (
            terminated_as_interrupted(),
            ThreadPoolExecutor(request.jobs) as pool,
            processes.stopped_at_the_end(),
        ):
            list(pool.map(work, left))
    if failures:
        raise TrainingError(
            f"{len(failures)} of {counted(len(left), 'run')} failed: {'; '.join(failures)}; the "
            "same command tries them again and leaves the others alone"
        )


def _train_and_measure(
    folder: Path, training: TrainRequest | None, measured: EvalRequest | None
) -> None:
    """What a process does for one run; everything it says goes to the run's log. The run is locked
    by it, and so stays locked when the ablation dies and it does not."""
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(handlers=[line_handler()])
    logging.getLogger("orn").setLevel(logging.INFO)
    try:
        with open_to_append(folder / LOG_NAME) as log:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(log.fileno(), stream.fileno())
        with locked(folder, job="orn ablate"):
            if training is not None:
                train(training)
            if measured is not None:
                evaluate(measured)
    except PipelineError as err:
        logger.error("%s", err)
        sys.exit(err.exit_code)


class _Processes:
    """Starts processes, and ends those that run when we are told to stop."""

    def __init__(self) -> None:
        self._running: set[SpawnProcess] = set()
        self._guard = threading.Lock()
        self.stopped = False

    def run(self, folder: Path, training: TrainRequest | None, measured: EvalRequest | None) -> int:
        """Trains and measures one run; returns the exit code."""
        with self._guard:
            if self.stopped:
                return -1
            process = multiprocessing.get_context("spawn").Process(
                target=_train_and_measure, args=(folder, training, measured)
            )
            process.start()
            self._running.add(process)
        while process.exitcode is None:  # which another thread may have been told first
            process.join(1)
        with self._guard:
            self._running.discard(process)
        return process.exitcode

    @contextmanager
    def stopped_at_the_end(self) -> Iterator[None]:
        """Ends what still runs when the block ends, by whatever way."""
        try:
            yield
        finally:
            with self._guard:
                self.stopped = True
                for process in self._running:
                    process.terminate()
