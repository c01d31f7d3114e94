"""The training loop: phases, epochs, steps, validation, checkpoints.

A resumed run gives the same weights as an uninterrupted one: the state of a step is in the
checkpoint or is a function of (seed, epoch, step).
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from orn.shared.errors import CheckpointError, ConfigError, TrainingError
from orn.shared.jobs.progress import SILENT, Bar, Reporter
from orn.shared.text import counted
from orn.stage2_train.clips.batches import (
    LoaderSettings,
    training_loader,
    worker_losses_reported,
)
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.evaluation.metrics import score_heads
from orn.stage2_train.evaluation.predict_split import predict
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.runs.accelerator import loader_settings
from orn.stage2_train.runs.checkpoint import (
    BEST_NAME,
    Checkpoint,
    check_position,
    load_best,
    load_last,
    load_optimizer,
    load_weights,
    save_best,
    save_last,
)
from orn.stage2_train.runs.metrics_log import MetricsLog, opened_log
from orn.stage2_train.runs.phases import Phase, plan_phases, steps_per_epoch
from orn.stage2_train.runs.run_folder import LAST_NAME
from orn.stage2_train.runs.saved_predictions import check_finite
from orn.stage2_train.runs.training_state import TrainingState
from orn.stage2_train.settings.recipe import Recipe
from orn.stage2_train.training.learning_rate import set_learning_rate
from orn.stage2_train.training.step import (
    build_optimizer,
    compile_backbone,
    freeze_for,
    synchronized,
    training_step,
)

logger = logging.getLogger(__name__)

CHECKPOINT_STEPS = 500
"""Number of steps between checkpoints within an epoch; every epoch ends with a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Clips for training and validation."""

    train: ClipDataset
    """Training clips."""
    validation: ClipDataset | None
    """Validation clips, which determine the best checkpoint; None for no validation."""
    metric: str
    """`top1` or `map`."""

    def without_frames(self) -> "TrainingData":
        """Return the clips with objects alone, for heads that are not computed from frames."""
        validation = self.validation and self.validation.without_frames()
        return replace(self, train=self.train.without_frames(), validation=validation)


@dataclass(slots=True, kw_only=True)
class _Session:
    """State of a training run in this process."""

    accelerator: Accelerator
    network: nn.Module
    recipe: Recipe
    phases: Sequence[Phase]
    data: TrainingData
    loader: LoaderSettings
    run: Path
    config: str
    """Digest of the run's configuration."""
    state: TrainingState
    log: MetricsLog
    bar: Bar
    max_steps: int | None
    num_clips: int = 0
    """Number of clips since metrics were last logged."""
    since: float = field(default_factory=time.perf_counter)
    """Time at which metrics were last logged."""

    @property
    def stopped(self) -> bool:
        """Whether the maximum number of steps is reached."""
        return self.max_steps is not None and self.state.step >= self.max_steps


def train_network(
    network: nn.Module,
    recipe: Recipe,
    data: TrainingData,
    run: Path,
    *,
    config: str,
    accelerator: Accelerator,
    reporter: Reporter = SILENT,
    workers: int = 0,
    max_steps: int | None = None,
) -> TrainingState:
    """Train a network to the end of the recipe, resuming from the run's checkpoint if there is one.

    Args:
        network: network with initial weights, trained in place.
        recipe: recipe of the run.
        data: clips for training and validation.
        run: folder for checkpoints and metrics; a finished run is not changed.
        config: digest of the run's configuration; see `config_digest`.
        accelerator: accelerator with the device and precision.
        reporter: shows the progress.
        workers: number of data-loading processes.
        max_steps: stop after this total number of steps; the run can be resumed.

    Raises:
        TrainingError: if a loss is not finite, the GPU is out of memory or a worker has terminated.
        CheckpointError: if the run's checkpoint does not match the network.
    """
    loader = loader_settings(accelerator, batch_size=recipe.optimizer.batch_size, workers=workers)
    last_path = run / LAST_NAME
    last = load_last(run, repair=accelerator.is_main_process)
    if last is not None:
        load_weights(network, last.model, path=last_path)
    state = TrainingState() if last is None else last.state
    phases = plan_phases(recipe, num_segments=data.train.num_drawn, world_size=loader.world_size)
    if last is not None:
        check_position(state, phases, path=last_path)
    if state.is_finished(len(phases)):
        is_first = accelerator.is_main_process
        if is_first and last is not None and not os.path.lexists(run / BEST_NAME):
            _restore_best(run, last, validates=data.validation is not None, config=config)
        return state
    num_left = sum(phase.num_steps for phase in phases[state.phase :]) - state.phase_step
    if max_steps is not None:
        num_left = max(min(num_left, max_steps - state.step), 0)
    network.to(accelerator.device)
    if recipe.compile:
        compile_backbone(network)
    with (
        opened_log(run, step=state.step, is_main=accelerator.is_main_process) as log,
        reporter.progress("train", total=num_left, unit="steps") as bar,
    ):
        session = _Session(
            accelerator=accelerator,
            network=network,
            recipe=recipe,
            phases=phases,
            data=data,
            loader=loader,
            run=run,
            config=config,
            state=state,
            log=log,
            bar=bar,
            max_steps=max_steps,
        )
        while not (state.is_finished(len(phases)) or session.stopped):
            if state.phase_over:
                _begin_next_phase(session)
                last = None
            with _failures_reported(phases[state.phase]):
                _run_phase(session, phases[state.phase], last)
    return state


def _restore_best(run: Path, last: Checkpoint, *, validates: bool, config: str) -> None:
    """Write the best weights of a finished run again if they are those of its last step.

    Raises:
        CheckpointError: if they are weights of an earlier step, which are stored nowhere else.
    """
    state = last.state
    if validates and state.best_step != state.step:
        raise CheckpointError(
            f"{run}: no {BEST_NAME}, the weights of step {state.best_step} of a finished run; "
            f"restore the file, or remove {LAST_NAME} and run the command again, which trains from "
            "the first step"
        )
    save_best(run, last.model, phase=state.phase, step=state.step, config=config)


@contextmanager
def _failures_reported(phase: Phase) -> Iterator[None]:
    """Raise a TrainingError if a worker process terminates or the GPU is out of memory."""
    try:
        with worker_losses_reported():
            yield
    except torch.OutOfMemoryError as err:
        raise TrainingError(
            f"phase {phase.name}: the GPU is out of memory ({str(err).partition('. GPU')[0]}); "
            f"start a different --run with fewer than {counted(phase.batch_size, 'clip')} per "
            "batch and optimizer.accumulation=2, or with precision=bf16"
        ) from err


def _begin_next_phase(session: _Session) -> None:
    """Start the next phase, from the best weights of the last phase with `warm_start = "best"`.

    These weights are saved as the last checkpoint immediately, because the next best checkpoint
    replaces their file.
    """
    ended = session.state.phase
    session.state.begin_phase(ended + 1)
    if session.recipe.phases.warm_start == "last":
        return
    best = load_best(session.run, phase=ended)
    if best is not None:
        load_weights(session.network, best.model, path=session.run / BEST_NAME)
        _save_last(session, None)


def _run_phase(session: _Session, phase: Phase, resumed: Checkpoint | None) -> None:
    """Run the steps of a phase until it is over or training stops."""
    state, recipe = session.state, session.recipe
    accelerator = session.accelerator
    freeze_for(session.network, phase)
    data = session.data
    if not recipe.model.needs_frames(phase.heads):
        data = data.without_frames()
    model = synchronized(session.network, accelerator).train()
    optimizer = build_optimizer(session.network.parameters(), recipe.optimizer)
    if resumed is not None:
        load_optimizer(optimizer, resumed.optimizer)
    num_batches, batches = phase.num_batches, _batches(session, phase, data.train)
    while not (state.phase_over or session.stopped):
        learning_rate = set_learning_rate(
            optimizer, recipe.optimizer, step=state.phase_step, num_steps=phase.num_steps
        )
        taken = list(islice(batches, min(recipe.optimizer.accumulation, num_batches - state.batch)))
        values = training_step(
            accelerator,
            model,
            optimizer,
            taken,
            recipe=recipe,
            heads=phase.heads,
            step=state.step,
        )
        session.num_clips += sum(len(batch) for batch in taken)
        epoch_over = state.advance(
            len(taken), num_batches=num_batches, num_phase_steps=phase.num_steps
        )
        state.add(values | {"learning_rate": learning_rate})
        session.bar.advance(note=f"loss {values['loss']:.3f}")
        if state.step % recipe.log_every_steps == 0 or state.phase_over:
            _log_means(session, phase)
        due = epoch_over and state.epoch % recipe.validation.every_epochs == 0
        if data.validation is not None and (due or state.phase_over):
            _validate(session, phase, data.validation)
        due = epoch_over or state.step % CHECKPOINT_STEPS == 0
        if due or state.phase_over or session.stopped:
            _save_last(session, optimizer)


def _batches(session: _Session, phase: Phase, clips: ClipDataset) -> Iterator[ClipBatch]:
    """Return the batches of clips from the current position to the end of the phase."""
    state = session.state
    loader = replace(session.loader, batch_size=phase.batch_size)
    per_epoch = steps_per_epoch(phase.num_batches, session.recipe.optimizer.accumulation)
    num_epochs = (phase.num_steps - state.phase_step) // per_epoch + 2
    epochs = range(state.epoch, state.epoch + num_epochs)
    return iter(training_loader(clips, loader, epochs=epochs, first_batch=state.batch))


def _log_means(session: _Session, phase: Phase) -> None:
    """Log means since metrics were last logged; the speed is measured in the main process."""
    now = time.perf_counter()
    seconds = max(now - session.since, 1e-9)
    values = session.state.pop_means() | {
        "clips_per_second": session.num_clips / seconds,
        "seconds": seconds,
    }
    line = {"phase": phase.name, "epoch": session.state.epoch, **values}
    session.log.write(session.state.step, group="train", values=line)
    session.since, session.num_clips = now, 0


def _validate(session: _Session, phase: Phase, clips: ClipDataset) -> None:
    """Evaluate on the validation split, save the best weights, and apply early stopping."""
    began = time.perf_counter()
    state, recipe = session.state, session.recipe
    if session.accelerator.num_processes > 1:
        for buffer in session.network.buffers():  # each process has its own running statistics
            torch.distributed.broadcast(buffer, src=0)
    predictions = predict(
        session.network,
        clips,
        session.loader,
        heads=phase.heads,
        accelerator=session.accelerator,
    )
    check_finite(predictions.by_head(), predictions.ids, of=session.run)
    scores = score_heads(predictions, clips)
    session.network.train()
    values = {
        f"{head}_{name}": value
        for head, of_head in scores.items()
        for name, value in of_head.items()
    }
    line = {"phase": phase.name, "epoch": state.epoch, **values}
    session.log.write(state.step, group="validation", values=line)
    metric = scores[phase.name][session.data.metric]
    if metric is None:
        raise ConfigError(
            f"validation split: no labels in {counted(len(clips), 'segment')}; train with --set "
            "data.train_with_validation=true"
        )
    if session.accelerator.is_main_process:
        what = f"{phase.name} {session.data.metric}"
        logger.info("step %d: validation %s %.4f", state.step, what, metric)
    if state.record_metric(metric, patience=recipe.validation.patience):
        if session.accelerator.is_main_process:
            _save_best(session, session.network.state_dict())
        session.accelerator.wait_for_everyone()
    session.since += time.perf_counter() - began


def _save_best(session: _Session, model: Mapping[str, Tensor]) -> None:
    state = session.state
    save_best(session.run, model, phase=state.phase, step=state.step, config=session.config)


def _save_last(session: _Session, optimizer: torch.optim.Optimizer | None) -> None:
    state = session.state
    if session.accelerator.is_main_process:
        checkpoint = Checkpoint(
            model=session.network.state_dict(),
            optimizer={} if optimizer is None else optimizer.state_dict()["state"],
            state=state,
        )
        if session.data.validation is None and optimizer is not None:  # the last weights are best
            _save_best(session, checkpoint.model)
        save_last(session.run, checkpoint, config=session.config)
        session.log.write_status(state, session.phases, metric=session.data.metric)
    session.accelerator.wait_for_everyone()
