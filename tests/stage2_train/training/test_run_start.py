"""How a run starts: from the weights that its folder records, on shards that are whole, one at a
time and as long as there is time; or it leaves no folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from orn.shared.jobs.atomic_file import lock_path, locked
from orn.stage2_train.evaluation.list_runs import read_runs
from orn.stage2_train.runs.checkpoint import load_last
from orn.stage2_train.training.initial_weights import IMAGENET_URLS
from tests.running import Ran
from tests.weights_server import WeightsServer


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Random weights of a ResNet-18, as torchvision's files are but for their width: 2 channels in
    place of 64, so that a checkpoint is small."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.manual_seed(0)
    narrow = {
        name: tensor[tuple(slice(size // 32 if size % 64 == 0 else size) for size in tensor.shape)]
        for name, tensor in resnet18().state_dict().items()
    }
    torch.save({name: tensor.clone() for name, tensor in narrow.items()}, path)
    return path


@pytest.fixture
def start(train) -> Callable[..., Ran]:
    """Makes one step of a run, of a network that the weights fit."""
    return partial(train, "--max-steps", 1)


@pytest.fixture
def published(weights_host: WeightsServer, weights, monkeypatch) -> WeightsServer:
    """The host has the weights in place of torchvision's."""
    for name in ("resnet18", "resnet50"):
        url = weights_host.publish(weights.read_bytes(), name=name)
        monkeypatch.setitem(IMAGENET_URLS, name, url)
    return weights_host


IMAGENET = ("--set", "initial_weights=imagenet", "--set", "model.backbone=resnet18")


def same_weights(*runs: Path) -> bool:
    """Whether the last checkpoints of two runs are equal to the bit."""
    ours, theirs = (load_last(run, repair=False).model for run in runs)
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_published_weights_are_fetched_once(start, weights, tmp_path, published) -> None:
    report = start(*IMAGENET, "--dry-run", "--json").json
    assert report["to_fetch"] == IMAGENET_URLS["resnet18"]
    assert published.requests == []
    for name in ("one", "two"):
        start(*IMAGENET, "--run", tmp_path / name)
    (asked,) = published.requests
    assert asked.startswith("/resnet18-")
    assert "to_fetch" not in start(*IMAGENET, "--dry-run", "--json").json
    start("--weights", weights, "--set", "model.backbone=resnet18")
    assert same_weights(tmp_path / "one", tmp_path / "run")
    assert len(published.requests) == 1


def test_wrong_weights_leave_no_run_and_make_no_clips(start, weights, tmp_path, published) -> None:
    published.files.clear()
    message = start(*IMAGENET, "--clips", tmp_path / "clips", exit_code=1).stderr
    for part in ("404", "--weights FILE", "initial_weights=random"):
        assert part in message
    assert "orn clips" not in message
    message = start("--weights", tmp_path / "resnet81.pth", exit_code=1).stderr
    assert "resnet81.pth" in message
    more = ("--set", "model.base_width=4")
    assert "do not match" in start("--weights", weights, *more, exit_code=1).stderr
    assert not (tmp_path / "run").exists()
    start("--weights", weights)
    assert len(published.requests) == 1


def test_a_second_training_in_a_folder_is_refused(train, tmp_path) -> None:
    run = tmp_path / "run"

    def state_of(run: Path) -> str:
        (found,) = read_runs(run, split="validation")
        return str(found["state"])

    train("--max-steps", 1)
    with locked(run / "last.safetensors", job="orn train"):
        assert state_of(run) == "training"
        before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
        assert f"{run}/last.safetensors: another `orn train`" in train(exit_code=1).stderr
        assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert state_of(run) == "stopped"
    train()
    assert state_of(run) == "finished"
    assert not lock_path(run / "last.safetensors").exists()
