"""A run starts from the weights that its folder records, or leaves no folder."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torchvision.models import resnet18

from orn.shared.cli import orn
from orn.shared.errors import ConfigError
from orn.stage2_train.model.image_weights import IMAGENET_URLS
from orn.stage2_train.runs.checkpoint import load_checkpoint
from orn.stage2_train.training.train import check_processes
from tests.weights_server import WeightsServer
from tests.worlds.films import make_workspace


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
def start(tiny_world, tmp_path) -> Callable[..., Result]:
    """Makes one step of a run in tmp_path / "run", of a network that the weights fit."""
    options = make_workspace(tiny_world, tmp_path)
    manifest = options.pop("manifest")
    flags = [part for option in options.items() for part in option]

    def run(*more: str | Path) -> Result:
        arguments = ["train", manifest, *flags, "--max-steps", "1", *map(str, more)]
        return CliRunner().invoke(orn, arguments)

    return run


@pytest.fixture
def published(weights_host: WeightsServer, weights, monkeypatch) -> WeightsServer:
    """The host has the weights in place of torchvision's."""
    for name in ("resnet18", "resnet50"):
        url = weights_host.publish(weights.read_bytes(), name=name)
        monkeypatch.setitem(IMAGENET_URLS, name, url)
    return weights_host


IMAGENET = ("--set", "initial_weights=imagenet", "--set", "model.backbone=resnet18")


def test_published_weights_are_fetched_once(start, weights, tmp_path, published) -> None:
    result = start(*IMAGENET, "--dry-run", "--json")
    assert json.loads(result.stdout)["to_fetch"] == IMAGENET_URLS["resnet18"]
    assert published.requests == []
    for name in ("one", "two"):
        result = start(*IMAGENET, "--run", tmp_path / name)
        assert result.exit_code == 0, result.stderr
    (asked,) = published.requests
    assert asked.startswith("/resnet18-")
    assert "to_fetch" not in json.loads(start(*IMAGENET, "--dry-run", "--json").stdout)
    given = start("--weights", weights, "--set", "model.backbone=resnet18")
    assert given.exit_code == 0, given.stderr
    fetched, expected = (load_checkpoint(tmp_path / each / "last.pt") for each in ("one", "run"))
    for name, tensor in fetched.model.items():
        assert torch.equal(tensor, expected.model[name]), name
    assert len(published.requests) == 1


def test_a_failed_download_leaves_no_run_and_makes_no_clips(
    start, weights, tmp_path, published
) -> None:
    published.files.clear()
    result = start(*IMAGENET, "--clips", tmp_path / "clips.h5")
    assert result.exit_code == 1
    for part in ("could not be fetched", "404", "--weights FILE", "initial_weights=random"):
        assert part in result.stderr
    assert "orn clips" not in result.stderr
    assert not (tmp_path / "run").exists()
    result = start("--weights", weights)
    assert result.exit_code == 0, result.stderr
    assert len(published.requests) == 1


def test_wrong_weights_leave_no_run(start, weights, tmp_path) -> None:
    result = start("--weights", tmp_path / "resnet81.pth")
    assert result.exit_code == 1
    assert "resnet81.pth: cannot be read (No such file or directory)" in result.stderr
    result = start("--weights", weights, "--set", "model.base_width=4")
    assert result.exit_code == 1
    assert "do not fit the network's backbone" in result.stderr
    assert not (tmp_path / "run").exists()
    result = start("--weights", weights)
    assert result.exit_code == 0, result.stderr


def test_killed_before_its_first_checkpoint_it_asks_for_the_weights_again(
    start, weights, tmp_path
) -> None:
    last = tmp_path / "run" / "last.pt"
    assert start("--weights", weights).exit_code == 0
    expected = load_checkpoint(last).model
    last.unlink()
    for more in ((), ("--set", "initial_weights=imagenet")):
        result = start(*more)
        assert result.exit_code == 2
        assert "run: holds a run that starts from weights of a file (sha256:" in result.stderr
        assert "give --weights again" in result.stderr
    assert start("--weights", weights).exit_code == 0
    for name, tensor in load_checkpoint(last).model.items():
        assert torch.equal(tensor, expected[name]), name
    assert start("--set", "initial_weights=imagenet").exit_code == 0


def test_several_processes_need_frames_to_relate(tiny_recipe) -> None:
    check_processes(tiny_recipe, num_frames=1, num_processes=1)
    check_processes(tiny_recipe, num_frames=2, num_processes=2)
    for changes in ({"heads": "activity"}, {"relation_frames": "same"}):
        recipe = replace(tiny_recipe, model=replace(tiny_recipe.model, **changes))
        check_processes(recipe, num_frames=1, num_processes=2)
    with pytest.raises(
        ConfigError, match=r"data\.clip_frames: wanted at least 2 frames for 3 processes.* found 1"
    ):
        check_processes(tiny_recipe, num_frames=1, num_processes=3)


def test_a_run_is_called_in_utf8(start, tmp_path) -> None:
    """TensorBoard and torch take no other names."""
    run = tmp_path / os.fsdecode(b"\xff")
    result = start("--run", run)
    assert (result.exit_code, run.exists()) == (2, False)
    assert r"\udcff: expected a path in UTF-8, got other bytes; rename" in result.stderr
