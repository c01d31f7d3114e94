"""Training of the demo's small detector from random weights: a plain loop around mmdet's loss.

Every step draws from generators seeded with the step's number, so a training that was killed and
resumed goes on as one that was not.
"""

import dataclasses
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from orn.demo.detector.average_precision import average_precision
from orn.demo.detector.coco_frames import CocoFrames, load_coco_frames, make_batch
from orn.shared.errors import CheckpointError, TrainingError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_files
from orn.shared.jobs.progress import progress
from orn.shared.jobs.same_job import check_same_job
from orn.shared.tensors import read_tensors, write_tensors
from orn.shared.text import counted
from orn.shared.torch_files import write_torch_file
from orn.stage1_detect.mmdet.config import DetectorConfig, read_config
from orn.stage1_detect.mmdet.detector import detector_of
from orn.stage1_detect.mmdet.library import Segmenter
from orn.stage1_detect.mmdet.model import (
    LoadedWeights,
    build_model,
    library_versions,
    names_of_classes,
)
from orn.stage2_train.runs.checkpoint import (
    checkpoint_tensors,
    load_optimiser,
    load_weights,
    split_tensors,
)

_EVALUATION_BATCH = 16
_UNNAMED = LoadedWeights(digest="", class_names=None)
"""Of a network in training: its configuration names its classes."""
_RESUME, _POSITION = "the state of a training of the demo's detector", "position"
_REMEDY = "remove the file to start anew"
_ORDER, _AUGMENTATION, _SAMPLING = range(3)
"""Second element of a generator's seed: what it draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTraining:
    """Settings of one training."""

    iterations: int = 4000
    """Optimiser steps in all."""
    batch: int = 8
    """Frames of a step; batch normalisation wants several."""
    seed: int = 0
    """Seed of weights, order, augmentation and sampling."""
    learning_rate: float = 2e-3
    """Highest rate of AdamW; rises linearly, falls as a cosine."""
    warmup_iterations: int = 200
    """Steps of the rise."""
    weight_decay: float = 0.01
    """AdamW's decay."""
    largest_gradient_norm: float = 10.0
    """Gradients are scaled down to this norm."""
    save_every: int = 250
    """Steps between two saved states to resume from."""
    evaluate_every: int = 1000
    """Steps between two evaluations on the validation frames."""


def demo_config(detector: str = "mask_rcnn") -> Path:
    """The configuration of a detector of the demo, `mask_rcnn` or `rtmdet_ins`, as shipped."""
    return Path(__file__).with_name(f"{detector}_demo.py")


def train_detector(
    folder: Path,
    out: Path,
    *,
    config: Path,
    settings: DetectorTraining,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Trains on `folder/train.json` and writes the weights to `out` and a record to `out`.json.

    A training that was cut off goes on from `OUT.resume`, which is removed at the end. Returns the
    record.

    Raises:
        CheckpointError: `OUT.resume` is from a training with other settings.
        TrainingError: a loss was not finite.
        DataRootError: the frames are not there.
    """
    resume, record_path = (out.with_name(out.name + end) for end in (".resume", ".json"))
    reads = (folder / name for name in ("train.json", "validation.json", "frames"))
    check_output_files([out, record_path, resume], reads=reads)
    detector = read_config(config)
    torch.manual_seed(settings.seed)
    model = build_model(detector, initialise=True).to(memory_format=torch.channels_last)
    names = names_of_classes(model, detector, _UNNAMED)
    train, validation = (load_coco_frames(folder, part, names) for part in ("train", "validation"))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    state = _State(path=resume, model=model, optimiser=optimiser, settings=settings)
    if resume.exists():
        state.load()
    history = _run(state, train, validation, detector=detector)
    weights = {  # large ones in half precision, in which the model is evaluated, too
        name: (each.half() if each.ndim > 1 else each).contiguous()
        for name, each in model.state_dict().items()
    }
    model.load_state_dict(weights)
    final = evaluate_model(model, validation, detector=detector)
    write_torch_file(out, weights)
    record = {
        "command": list(command),
        "iterations": settings.iterations,
        "frames": len(train),
        "validation_frames": len(validation),
        "average_precision": final,
        "history": history,
        "seconds": round(state.seconds, 1),
        "machine": f"{platform.machine()}, {counted(torch.get_num_threads(), 'thread')}",
        "settings": dataclasses.asdict(settings),
        "parameters": sum(p.numel() for p in model.parameters()),
        "config": detector.name,
        "config_digest": detector.digest,
        "versions": library_versions(),
    }
    write_text(record_path, json.dumps(record, indent=2) + "\n")
    state.path.unlink(missing_ok=True)
    return record


def evaluate_model(
    model: Segmenter, frames: CocoFrames, *, detector: DetectorConfig
) -> dict[str, float]:
    """COCO average precision on `frames`, with the configuration's own score threshold."""
    was_training = model.training
    model.eval()
    finder = detector_of(model, detector, weights=_UNNAMED, score_threshold=0.0)
    found = []
    for start in range(0, len(frames), _EVALUATION_BATCH):
        found += finder.detect(list(frames.images_MHWC[start : start + _EVALUATION_BATCH]))
    model.train(was_training)
    names = finder.entry.class_names
    return average_precision(frames.annotations, frames.image_ids, found, names)


@dataclass(slots=True, kw_only=True)
class _State:
    """A model and its optimiser, how far they are, and the file that they go on from."""

    path: Path
    model: Segmenter
    optimiser: torch.optim.Optimizer
    settings: DetectorTraining
    done: int = 0
    seconds_before: float = 0.0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """What the training took so far, in all its runs."""
        return self.seconds_before + time.monotonic() - self.started

    def save(self) -> None:
        """Writes everything that a resumed training needs."""
        position = {
            "settings": dataclasses.asdict(self.settings),
            "done": self.done,
            "seconds": self.seconds,
            "history": self.history,
        }
        # Copies, since layers of RTMDet share tensors.
        weights = {name: each.clone() for name, each in self.model.state_dict().items()}
        tensors = checkpoint_tensors(weights, self.optimiser.state_dict()["state"])
        write_tensors(self.path, tensors, {_POSITION: json.dumps(position)})

    def load(self) -> None:
        """Takes what the file holds.

        Raises:
            CheckpointError: that is of a training with other settings, or nothing of `save`.
        """
        tensors, metadata = read_tensors(self.path, what=_RESUME, remedy=_REMEDY)
        position = json.loads(metadata.get(_POSITION, "{}"))
        check_same_job(
            position.get("settings", {}),
            dataclasses.asdict(self.settings),
            place=self.path,
            remedy=_REMEDY,
            error=CheckpointError,
        )
        self.done, self.seconds_before = position["done"], position["seconds"]
        self.history = position["history"]
        weights, remembered = split_tensors(tensors)
        load_weights(self.model, weights, path=self.path)
        load_optimiser(self.optimiser, remembered, path=self.path)


def _run(
    state: _State, train: CocoFrames, validation: CocoFrames, *, detector: DetectorConfig
) -> list[dict[str, float]]:
    settings, model = state.settings, state.model
    model.train()
    with progress("train", total=settings.iterations, unit="steps") as bar:
        bar.advance(state.done)
        for step in range(state.done, settings.iterations):
            losses = _step(state, train, step=step)
            state.done = step + 1
            bar.advance(note=" ".join(f"{key} {value:.3f}" for key, value in losses.items()))
            last = state.done == settings.iterations
            if state.done % settings.evaluate_every == 0 and not last:
                figures = evaluate_model(model, validation, detector=detector)
                state.history.append({"iteration": state.done, **losses, **figures})
                bar.advance(0, note=" ".join(f"{k} {v:.3f}" for k, v in figures.items()))
            if state.done % settings.save_every == 0 or last:
                state.save()
    return state.history


def _step(state: _State, frames: CocoFrames, *, step: int) -> dict[str, float]:
    """One optimiser step; returns the losses by name."""
    settings, model = state.settings, state.model
    sampling = random_numbers(settings.seed, _SAMPLING, step)
    torch.manual_seed(int(sampling.integers(2**62)))  # mmdet samples proposals with it
    indices = frames_of_step(step, len(frames), settings)
    inputs_BCHW, samples = make_batch(
        frames,
        indices,
        generator=random_numbers(settings.seed, _AUGMENTATION, step),
        preprocessor=model.data_preprocessor,
    )
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(step, settings)
    total, logged = model.parse_losses(model.loss(inputs_BCHW, samples))
    losses = {
        name.removeprefix("loss_"): float(value.detach())
        for name, value in logged.items()
        if name != "acc"
    }
    if not torch.isfinite(total):
        raise TrainingError(
            f"step {step}: the loss is not finite ({losses}), frames "
            f"{[frames.image_ids[i] for i in indices]} of {frames.annotations}; "
            "lower the learning rate and start anew"
        )
    state.optimiser.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(model.parameters(), settings.largest_gradient_norm)
    state.optimiser.step()
    return losses


def frames_of_step(step: int, count: int, settings: DetectorTraining) -> list[int]:
    """Indices of the frames of a step, of so many.

    Each epoch has every frame once, in an order of its own; a batch may span two epochs.
    """
    first = step * settings.batch
    places = [divmod(place, count) for place in range(first, first + settings.batch)]
    orders = {
        epoch: random_numbers(settings.seed, _ORDER, epoch).permutation(count)
        for epoch, _ in places
    }
    return [int(orders[epoch][offset]) for epoch, offset in places]


def random_numbers(seed: int, what: int, number: int) -> np.random.Generator:
    """Of a training the generator that draws one thing in one step or epoch."""
    return np.random.default_rng([seed, what, number])


def learning_rate(step: int, settings: DetectorTraining) -> float:
    """The rate of a step: rises linearly at first, then falls as a half cosine to 0."""
    highest, warmup = settings.learning_rate, settings.warmup_iterations
    if step < warmup:
        return highest * (step + 1) / warmup
    rest = (step - warmup) / max(1, settings.iterations - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * rest))
