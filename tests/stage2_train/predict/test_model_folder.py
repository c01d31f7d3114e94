"""Folders of models from strangers: refused in a sentence, without running anything in them."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from orn.shared.errors import CheckpointError, PipelineError
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.predict.opened import open_model
from orn.stage2_train.runs.model_folder import (
    load_network,
    read_model_config,
    write_model_folder,
)
from tests.bounded import bounded
from tests.worlds.films import TINY_RECIPE, tiny_model_config


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a folder by name."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    network = ObjectVideoNetwork(TINY_RECIPE.model)
    write_model_folder(folder, tiny_model_config(network), network)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(written: dict[str, bytes], tmp_path: Path) -> Path:
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def change(folder: Path, **changes: Any) -> None:
    """Sets keys of the configuration, as `recipe__model__base_width`."""
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    for name, value in changes.items():
        *sections, key = name.split("__")
        table = raw
        for section in sections:
            table = table[section]
        table[key] = value
    path.write_text(json.dumps(raw))


def opened(folder: Path) -> str:
    """What opening gives, as text, since networks do not survive pickling fast."""
    return str(open_model(folder, device="cpu").classes)


def test_it_is_read_as_it_was_written(folder: Path) -> None:
    torch.manual_seed(0)
    network = ObjectVideoNetwork(TINY_RECIPE.model)
    config = read_model_config(folder)
    assert replace(config, weights_digest=None) == tiny_model_config(network)
    found = load_network(folder, config)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name])


class Runs:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("size", ["its own", "that of the weights"])
def test_a_pickle_in_place_of_the_weights_is_not_run(folder: Path, size: str) -> None:
    ran, weights = folder / "ran", folder / "model.safetensors"
    content = pickle.dumps(Runs(ran))
    if size != "its own":
        content = content.ljust(weights.stat().st_size, b"\0")
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="wanted"):
        opened(folder)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"dataset__classes": ["right"]}, "names of 2 classes", id="few names"),
        pytest.param({"recipe__model__base_width": 4096}, "machine's memory", id="wide"),
        pytest.param({"recipe__model__base_width": 64}, "wanted the weights", id="wider"),
        pytest.param({"recipe__model__backbone": "resnet50"}, "wanted the weights", id="deep"),
        pytest.param({"recipe__model__mask_size": 8}, "does not fit|wanted the w", id="shape"),
        pytest.param({"normalisation__mean": [0.5, 0.5, 0.5]}, "normalisation", id="colours"),
        pytest.param({"weights_digest": "sha256:0"}, "after the export", id="digest"),
        pytest.param({"detector_file": "../../etc/passwd"}, "detector_file", id="leads out"),
    ],
)
def test_hostile_configurations(folder: Path, changes: dict[str, Any], says: str) -> None:
    change(folder, **changes)
    with pytest.raises(PipelineError, match=says) as caught:
        opened(folder)
    assert "\n" not in str(caught.value)


def test_what_takes_memory_is_refused_before_it_is_taken(folder: Path) -> None:
    change(folder, recipe__model__base_width=2048, recipe__model__reasoning_state=65536)
    with pytest.raises(PipelineError, match="wanted"):
        bounded(opened, folder)
