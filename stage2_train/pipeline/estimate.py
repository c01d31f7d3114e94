"""Estimating the time and disk space for a pipeline on this machine from a sample.

A few frames from a few videos are decoded, detected and stored, and the network is timed on black
clips; the results are extrapolated.
"""

import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from orn.shared.devices import choose_device
from orn.shared.environment import usable_cores
from orn.shared.errors import VideoDecodeError
from orn.shared.jobs.commands import run_orn
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Dataset
from orn.shared.manifests.source import some_videos
from orn.shared.report import Report, Table
from orn.shared.text import counted
from orn.shared.video.read import read_frames
from orn.stage2_train.pipeline.pipeline import Pipeline, pipeline_jobs
from orn.stage2_train.recipe import Recipe, default_recipe, load_recipe
from orn.stage2_train.resources import WITH_WORKERS
from orn.stage2_train.runs.phases import Phase, plan_phases
from orn.stage2_train.runs.run_folder import read_status

_SAMPLE_VIDEOS = 3
_SAMPLE_FRAMES = 32
"""Number of frames to store from each sample video."""
_EXPLAINED = 400
"""Maximum number of clips explained by `orn report`."""
_PASSES_OF_REPORT = 4
"""Cost of explaining and drawing a clip, in forward passes; 2 to 5 were measured on the demo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEstimate:
    """Remaining work for one step of a pipeline."""

    step: str
    work: str
    """Amount of work, in words."""
    seconds: float | None
    """Time in seconds; None if it is not measured."""
    num_bytes: int = 0
    """Disk space that the step will use."""


def estimate_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """Return the remaining time and disk space for each step of a pipeline, as a JSON object.

    This leaves no files behind, but downloads the detector's weights if they are missing.
    """
    dataset, device = load_dataset(pipeline.manifest, pipeline.data_root), choose_device("auto")
    began = time.perf_counter()
    objects = _objects(pipeline)
    start_seconds = time.perf_counter() - began  # the command has loaded torch and a network
    if objects.seconds:
        objects = replace(objects, seconds=objects.seconds + start_seconds)
    training = _training(pipeline, dataset, device=device, start_seconds=start_seconds)
    steps = [objects, _clips(pipeline, dataset), *training]
    return {
        "dataset": dataset.name,
        "device": device,
        "steps": [asdict(step) for step in steps],
        "seconds": round(sum(step.seconds or 0.0 for step in steps), 1),
        "num_bytes": sum(step.num_bytes for step in steps),
        "free_bytes": shutil.disk_usage(Path()).free,
    }


def as_report(estimate: dict[str, Any]) -> Report:
    """Return an estimate in printable form."""
    rows = [
        (step["step"], step["work"], time_text(step["seconds"]), decimal(step["num_bytes"]))
        for step in estimate["steps"]
    ]
    total = ("total", "", time_text(estimate["seconds"]), decimal(estimate["num_bytes"]))
    return Report(
        tables=[Table(header=("step", "remaining", "time", "disk space"), rows=[*rows, total])],
        notes=[
            f"Extrapolated from a few frames and steps on the {estimate['device']} of this "
            "machine; other processes slow it down. Free disk space: "
            f"{decimal(estimate['free_bytes'])}."
        ],
    )


def time_text(seconds: float | None) -> str:
    """Return a time such as `40 s`, `12 min` or `3.5 h`."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _objects(pipeline: Pipeline) -> StepEstimate:
    """Return the estimate for detection, from a dry run of `orn detect`, or for import."""
    (job,) = (each for each in pipeline_jobs(pipeline) if each.name in ("detect", "import-objects"))
    if job.name != "detect":
        return StepEstimate(step=job.name, work="not measured", seconds=None)
    with tempfile.TemporaryFile() as file:
        run_orn([*job.argv, "--dry-run", "--measure", "--json"], stdout=file.fileno())
        file.seek(0)
        described = json.load(file)
    frames = described["frames_to_do"]
    return StepEstimate(
        step="detect",
        work=f"{counted(frames, 'frame')} of {counted(described['videos'], 'video')}",
        seconds=described["expected_seconds"] or 0.0,
        num_bytes=described["expected_bytes"] if frames else 0,
    )


def _clips(pipeline: Pipeline, dataset: Dataset) -> StepEstimate:
    from orn.stage2_train.frames.make_clips import describe_clips
    from orn.stage2_train.frames.request import ClipsRequest

    request = ClipsRequest(
        manifest=pipeline.manifest, data_root=pipeline.data_root, out=pipeline.clips
    )
    described = describe_clips(request)
    frames = described["estimated_frames"]
    if not described["to_do"]:
        return StepEstimate(step="clips", work="nothing", seconds=0.0)
    return StepEstimate(
        step="clips",
        work=f"{counted(frames, 'frame')} of {counted(described['to_do'], 'video')}",
        seconds=frames * _stored_seconds(dataset) / usable_cores(),
        num_bytes=described["needed_bytes"],
    )


def _stored_seconds(dataset: Dataset) -> float:
    """Return the time, in seconds, to decode, rescale and encode a frame."""
    from orn.stage2_train.frames.jpeg import encode_frame
    from orn.stage2_train.frames.schema import StoreSettings

    settings = StoreSettings(size=(dataset.clip_height, dataset.clip_width))
    frames, began = 0, time.perf_counter()
    for video in some_videos(dataset.videos, _SAMPLE_VIDEOS):
        with suppress(VideoDecodeError):
            for frame in read_frames(video.path, rate=video.rate, stop=_SAMPLE_FRAMES):
                encode_frame(frame.image, settings)
                frames += 1
    return (time.perf_counter() - began) / max(frames, 1)


def _training(
    pipeline: Pipeline, dataset: Dataset, *, device: str, start_seconds: float
) -> Iterator[StepEstimate]:
    """Yield the estimates for training, evaluation and report."""
    recipe = load_recipe(
        pipeline.recipe or default_recipe(dataset.name),
        num_activities=len(dataset.classes),
        overrides=(*pipeline.overrides, f"seed={pipeline.seed}"),
        clip_frames=dataset.clip_frames,
    )
    network = _TimedNetwork(recipe, device)
    numbers = {
        split: sum(segment.split == split for segment in dataset.segments)
        for split in ("train", "validation", "test")
    }
    trained = numbers["train"]
    if recipe.data.train_segments is not None:
        trained = min(trained, recipe.data.train_segments)
    phases = plan_phases(recipe, num_segments=trained)
    status = read_status(pipeline.run)
    all_steps = sum(phase.num_steps for phase in phases)
    left = all_steps if status is None else status.num_steps - status.step
    share = left / max(all_steps, 1)
    in_steps = sum(
        phase.num_steps
        * recipe.optimiser.accumulation
        * phase.batch_size
        * network.training_seconds(phase)
        for phase in phases
    )
    one_pass = network.evaluation_seconds()
    validations = sum(_validations(phase, recipe) for phase in phases) * recipe.validation.clips
    in_validation = validations * numbers["validation"] * one_pass
    weight_bytes = network.weight_bytes
    yield StepEstimate(
        step="train",
        work=f"{counted(left, 'step')} of {counted(recipe.optimiser.batch_size, 'clip')}",
        seconds=start_seconds + share * (in_steps + in_validation),
        # the best weights, and two checkpoints with optimizer state
        num_bytes=0 if status else 7 * weight_bytes,
    )
    clips = numbers[pipeline.split]
    if pipeline.evaluation.exists() and pipeline.report.exists():
        return
    yield StepEstimate(
        step="eval", work=counted(clips, "clip"), seconds=start_seconds + clips * one_pass
    )
    explained = min(clips, _EXPLAINED)
    yield StepEstimate(
        step="report",
        work=counted(explained, "clip"),
        seconds=start_seconds + explained * _PASSES_OF_REPORT * one_pass,
    )


def _validations(phase: Phase, recipe: Recipe) -> int:
    epochs = phase.num_steps * recipe.optimiser.accumulation / phase.num_batches
    return max(1, round(epochs / recipe.validation.every_epochs))


class _TimedNetwork:
    """The network of a recipe with random weights, for timing."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        """Build the network on the device used for training."""
        import torch

        from orn.stage2_train.devices import build_accelerator
        from orn.stage2_train.model.build import build_network
        from orn.stage2_train.model.summary import black_clips

        torch.set_num_threads(WITH_WORKERS.num_threads())  # as in `orn train`
        self._accelerator = build_accelerator(recipe.precision, device)
        self._network = build_network(recipe.model).to(self._accelerator.device)
        self._num_clips = recipe.optimiser.batch_size if device == "cuda" else 1
        self._clips = black_clips(
            recipe.model,
            crop=recipe.data.crop,
            feature_cells=recipe.feature_cells,
            num_frames=recipe.data.clip_frames,
            num_slots=recipe.data.max_objects,
            device=self._accelerator.device,
            num_clips=self._num_clips,
        )

    @property
    def weight_bytes(self) -> int:
        """Size of the weights in bytes."""
        return sum(each.numel() * each.element_size() for each in self._network.parameters())

    def training_seconds(self, phase: Phase) -> float:
        """Return the time per clip, in seconds, of a training step in a phase."""
        from orn.stage2_train.training.step import freeze_for

        self._network.train()
        freeze_for(self._network, phase)

        def step() -> None:
            with self._accelerator.autocast():
                loss = self._network(self._clips, heads=phase.heads).logits_BA.sum()
            loss.backward()

        return self._seconds(step)

    def evaluation_seconds(self) -> float:
        """Return the time per clip, in seconds, of an evaluation."""
        import torch

        def evaluate() -> None:
            with torch.no_grad(), self._accelerator.autocast():
                self._network(self._clips)

        self._network.eval()
        return self._seconds(evaluate)

    def _seconds(self, act: Callable[[], None]) -> float:
        """Return the time per clip, in seconds, of the second call."""
        import torch

        for _ in range(2):
            began = time.perf_counter()
            act()
            if self._accelerator.device.type == "cuda":
                torch.cuda.synchronize()
        return (time.perf_counter() - began) / self._num_clips
