"""Trainings in the tiny world, and what ends them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from orn.stage2_train.evaluation.metrics import score_heads
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.runs.open_data import OpenedData
from orn.stage2_train.training import loop
from tests.running import Ran
from tests.worlds.films import TinyWorld, make_workspace


def sources_of(world: TinyWorld, **changes: Any) -> OpenedData:
    """Its clips and detections, and its data set with changes."""
    dataset = replace(world.dataset, **changes)
    return OpenedData(dataset=dataset, clips=world.clips(), detections=world.detections())


def same_weights(one: ObjectVideoNetwork, other: ObjectVideoNetwork) -> bool:
    """Whether two networks are equal to the bit."""
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@contextmanager
def before_each_step(act: Callable[..., None]) -> Iterator[None]:
    """Calls `act(model, batches, **options)` before each step of a training."""
    real = loop.training_step

    def step(accelerator: Any, model: Any, optimizer: Any, batches: Any, **options: Any) -> Any:
        act(model, batches, **options)
        return real(accelerator, model, optimizer, batches, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "training_step", step)
        yield


@pytest.fixture(scope="session")
def whole(run_tiny, tmp_path_factory) -> tuple[ObjectVideoNetwork, Path]:
    """A training that nothing ended, and its folder; read-only."""
    folder = tmp_path_factory.mktemp("whole")
    return run_tiny(folder), folder


@pytest.fixture
def train(orn, tiny_world, tmp_path) -> Callable[..., Ran]:
    """`orn train` of the tiny world; the run is tmp_path / "run"."""
    options = make_workspace(tiny_world, tmp_path)
    manifest = options.pop("manifest")
    return partial(orn, "train", manifest, *(word for pair in options.items() for word in pair))


def script(patch: pytest.MonkeyPatch, *metrics: float) -> None:
    """Makes validations find the given metrics, one after the other."""
    values = iter(metrics)

    def scores(predictions, clips):
        return {name: {"top1": next(values)} for name in list(score_heads(predictions, clips))[:1]}

    patch.setattr(loop, "score_heads", scores)


@pytest.fixture
def scripted_metrics(monkeypatch):
    """`script`, taken back at the end."""
    return partial(script, monkeypatch)
