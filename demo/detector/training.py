"""Train the demo's detector from random weights, with a custom loop around MMDetection's loss.

The random generators of a step are seeded with its number, so that a resumed training run is
identical to an uninterrupted one.
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
"""Weights during training; the config lists the names of the classes."""
_RESUME, _POSITION = "the saved training state of the demo's detector", "position"
_REMEDY = "remove the file to start over"
_ORDER, _AUGMENTATION, _SAMPLING = range(3)
"""Purposes of random generators; each is part of the seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTraining:
    """Settings of a training run."""

    iterations: int = 4000
    """Number of optimizer steps."""
    batch: int = 8
    """Frames per step; batch normalization requires several."""
    seed: int = 0
    """Seed for weights, order, augmentation and sampling."""
    learning_rate: float = 2e-3
    """Maximum learning rate of AdamW, after a linear warm-up and before a cosine decay."""
    warmup_iterations: int = 200
    """Number of warm-up steps."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    largest_gradient_norm: float = 10.0
    """Maximum norm for gradient clipping."""
    save_every: int = 250
    """Number of steps between saved states."""
    evaluate_every: int = 1000
    """Number of steps between evaluations on the validation frames."""


def demo_config(detector: str = "mask_rcnn") -> Path:
    """Return the path of the config of a demo detector, `mask_rcnn` or `rtmdet_ins`."""
    return Path(__file__).with_name(f"{detector}_demo.py")


def train_detector(
    folder: Path,
    out: Path,
    *,
    config: Path,
    settings: DetectorTraining,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Train on `folder/train.json`, and write the weights to `out` and a record to `out`.json.

    An interrupted training run resumes from `out`.resume, which is removed at the end.

    Returns:
        The record of the training run.

    Raises:
        CheckpointError: if `out`.resume belongs to a training run with different settings.
        TrainingError: if the loss is not finite.
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
    weights = {  # weights are stored in half precision, and therefore also evaluated in it
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
    """Return COCO's average precision on `frames`, with the score threshold of the config."""
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
    """The state of a training run, which is saved to a file."""

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
        """Return the duration of training over all interrupted runs."""
        return self.seconds_before + time.monotonic() - self.started

    def save(self) -> None:
        """Save the state."""
        position = {
            "settings": dataclasses.asdict(self.settings),
            "done": self.done,
            "seconds": self.seconds,
            "history": self.history,
        }
        # Clone, since layers of RTMDet share tensors.
        weights = {name: each.clone() for name, each in self.model.state_dict().items()}
        tensors = checkpoint_tensors(weights, self.optimiser.state_dict()["state"])
        write_tensors(self.path, tensors, {_POSITION: json.dumps(position)})

    def load(self) -> None:
        """Restore a saved state, which must have the same settings."""
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
    """Run an optimizer step and return the losses by name."""
    settings, model = state.settings, state.model
    sampling = seeded_generator(settings.seed, _SAMPLING, step)
    torch.manual_seed(int(sampling.integers(2**62)))  # for MMDetection's sampling of proposals
    indices = frames_of_step(step, len(frames), settings)
    inputs_BCHW, samples = make_batch(
        frames,
        indices,
        generator=seeded_generator(settings.seed, _AUGMENTATION, step),
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
            f"step {step}: expected a finite loss, got {losses} on frames "
            f"{[frames.image_ids[i] for i in indices]} of {frames.annotations}; train again with a "
            "different --seed"
        )
    state.optimiser.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(model.parameters(), settings.largest_gradient_norm)
    state.optimiser.step()
    return losses


def frames_of_step(step: int, count: int, settings: DetectorTraining) -> list[int]:
    """Return the indices of the frames of a step.

    Each epoch is a random permutation of all `count` frames; a batch may span two epochs.
    """
    first = step * settings.batch
    places = [divmod(place, count) for place in range(first, first + settings.batch)]
    orders = {
        epoch: seeded_generator(settings.seed, _ORDER, epoch).permutation(count)
        for epoch, _ in places
    }
    return [int(orders[epoch][offset]) for epoch, offset in places]


def seeded_generator(seed: int, what: int, number: int) -> np.random.Generator:
    """Return the random generator for a purpose in a step or epoch."""
    return np.random.default_rng([seed, what, number])


def learning_rate(step: int, settings: DetectorTraining) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 0."""
    highest, warmup = settings.learning_rate, settings.warmup_iterations
    if step < warmup:
        return highest * (step + 1) / warmup
    rest = (step - warmup) / max(1, settings.iterations - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * rest))
