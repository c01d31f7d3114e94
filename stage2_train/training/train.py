"""The job of `orn train`: combine data, recipe and run folder, train the network, fit the forest of
the model, and calibrate it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from orn.shared.config.toml_files import to_toml
from orn.shared.jobs.atomic_file import locked
from orn.shared.jobs.outputs import begin_output_folder
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text_summary import Outcome, Summary, summary_of
from orn.stage2_train.clips.batches import evaluation_loader
from orn.stage2_train.evaluation.calibrate import CalibrateConfig, calibrate
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.inputs import NetworkOutput
from orn.stage2_train.model.standardize import fit
from orn.stage2_train.runs.accelerator import build_accelerator, loader_settings
from orn.stage2_train.runs.open_data import record_inputs
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_config import write_config
from orn.stage2_train.runs.run_folder import (
    CONFIG_NAME,
    LAST_NAME,
    RUN_MARKER,
    config_digest,
    record_start,
)
from orn.stage2_train.runs.trained import (
    is_of_folds,
)
from orn.stage2_train.training.fit_parts import fit_forest, train_film_head
from orn.stage2_train.training.initial_weights import imagenet_to_fetch
from orn.stage2_train.training.loop import train_network
from orn.stage2_train.training.step import step_generator
from orn.stage2_train.training.train_config import TrainConfig
from orn.stage2_train.training.training_inputs import TrainingInputs, open_inputs

logger = logging.getLogger(__name__)


def train(config: TrainConfig, reporter: Reporter = SILENT) -> Outcome:
    """Start or resume a training run, and return its state: the run folder, step, phase, best
    validation and numbers of segments.

    Raises:
        PipelineError: if training cannot start or fails; the message suggests a remedy.
    """
    inputs, resources = open_inputs(config, reporter, creates_clips=True), config.resources
    recipe = inputs.config.recipe
    torch.set_num_threads(resources.num_threads())
    accelerator = build_accelerator(recipe.precision, resources.device)
    is_first = accelerator.is_main_process
    with locked(inputs.run / LAST_NAME, job="orn train") if is_first else nullcontext():
        return _train(inputs, config, accelerator, reporter)


def _train(
    inputs: TrainingInputs, config: TrainConfig, accelerator: Accelerator, reporter: Reporter
) -> Outcome:
    """Train while the run folder is locked."""
    recipe, resources = inputs.config.recipe, config.resources
    network = _initial_network(inputs, accelerator)
    if accelerator.is_main_process:
        _record(inputs, threads=resources.num_threads())
    accelerator.wait_for_everyone()
    state = train_network(
        network,
        recipe,
        inputs.data,
        inputs.run,
        config=config_digest(inputs.run),
        accelerator=accelerator,
        reporter=reporter,
        workers=resources.workers,
        max_steps=config.max_steps,
    )
    phases = plan_phases(recipe, num_segments=1)  # for their names
    if state.is_finished(len(phases)):
        if accelerator.is_main_process:
            fit_forest(inputs, reporter, threads=resources.num_threads())
            train_film_head(inputs, reporter)
        accelerator.wait_for_everyone()
        if not is_of_folds(inputs.run, inputs.config):  # which are calibrated together
            calibrate(CalibrateConfig(run=inputs.run, resources=resources), reporter)
    result = {
        "run": str(inputs.run),
        "step": state.step,
        "phase": phases[state.phase].name if phases else None,
        "finished": state.is_finished(len(phases)),
        "metric": inputs.config.dataset.metric,
        "best_metric": state.best_metric,
        "best_step": state.best_step,
        **inputs.counts,
    }
    return Outcome(result, _as_text)


def _as_text(result: Mapping[str, Any]) -> Summary:
    """Return the state of a run in printable form."""
    run, best = result["run"], result["best_metric"]
    phase = "" if result["phase"] is None else f", phase {result['phase'].replace('_', ' ')}"
    done = "finished" if result["finished"] else "stopped"
    return Summary(
        title=f"{run}: {done} at step {result['step']:,}{phase}",
        facts=[
            ("clips", _clips(result)),
            (
                f"best validation {result['metric']}",
                "-" if best is None else f"{best:.4f} at step {result['best_step']:,}",
            ),
        ],
        notes=[] if result["finished"] else ["Run the same command again to continue."],
    )


def _initial_network(inputs: TrainingInputs, accelerator: Accelerator) -> nn.Module:
    """Return the network with initial weights, and with the standardization of an image network's
    features fitted to the centered training clips; without a checkpoint of the run."""
    recipe, device = inputs.config.recipe, accelerator.device
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model)
    if (inputs.run / LAST_NAME).is_file():
        return network
    inputs.weights.load(network)

    def passes() -> Iterator[NetworkOutput]:
        generator = step_generator(recipe.seed, 0, 0)
        settings = loader_settings(accelerator, batch_size=recipe.optimizer.batch_size, workers=0)
        for batch in evaluation_loader(inputs.data.train, replace(settings, rank=0, world_size=1)):
            yield network(batch.to(device), generator=generator)

    if inputs.weights.started_from is None:
        # In training mode with one reference frame per frame, which is faster.
        fit(network.to(device).train(), passes())
    return network


def _record(inputs: TrainingInputs, *, threads: int) -> None:
    """Write the configuration of a new run, record the start, and compare the data of a resumed run
    with those that it began with."""
    begin_output_folder(inputs.run, RUN_MARKER)
    if not (inputs.run / CONFIG_NAME).is_file():
        write_config(inputs.run, inputs.config)
    precision = inputs.config.recipe.precision
    logger.info("precision %s", precision)
    record_start(inputs.run, threads=threads, precision=precision)
    record_inputs(inputs.run, inputs.made_from())


def describe_training(config: TrainConfig) -> dict[str, Any]:
    """Return what `train` would do: the resolved recipe as TOML, weights to download, and numbers
    of steps and segments."""
    inputs = open_inputs(config)
    recipe = inputs.config.recipe
    url = imagenet_to_fetch(inputs.weights.published)
    phases = plan_phases(recipe, num_segments=inputs.data.train.num_drawn)
    return {
        "run": str(inputs.run),
        "recipe_name": inputs.config.recipe_name,
        "recipe": to_toml(recipe),
        **({"to_fetch": url} if url else {}),
        "steps": {phase.name: phase.num_steps for phase in phases},
        **inputs.counts,
    }


def plan_text(result: dict[str, Any]) -> str:
    """Return what a training run would do, with the recipe as TOML at the end."""
    facts = {name: value for name, value in result.items() if not name.startswith("num_")}
    toml = facts.pop("recipe")
    return f"{summary_of(facts | {'clips': _clips(result)}).text()}\n\n{toml}"


def _clips(result: Mapping[str, Any]) -> str:
    parts = (
        ("num_train", "training"),
        ("num_validation", "validation"),
        ("num_skipped", "skipped"),
    )
    return ", ".join(f"{result[name]:,} {part}" for name, part in parts)
