"""The tiny world of stage 2, made once."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import Recipe
from tests.running import run_orn
from tests.worlds.films import (
    TINY_RECIPE,
    TinyWorld,
    build_world,
    make_workspace,
    train_tiny_network,
    words_of,
)


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """Twelve films of eight frames; read-only."""
    return build_world(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """One epoch of the object head, two of everything; four steps an epoch."""
    return TINY_RECIPE


@pytest.fixture(scope="session")
def run_tiny(tiny_world: TinyWorld) -> Callable[..., ObjectVideoNetwork]:
    """`train_tiny_network` in the tiny world."""
    return partial(train_tiny_network, tiny_world)


@pytest.fixture
def workspace(tiny_world: TinyWorld, tmp_path: Path) -> dict[str, str]:
    """Options of `orn train` in a folder of the test."""
    return make_workspace(tiny_world, tmp_path)


@pytest.fixture(scope="session")
def trained_once(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options of a training of an epoch, which is done; read-only."""
    options = make_workspace(tiny_world, tmp_path_factory.mktemp("trained-once"))
    run_orn("train", *words_of(options), "--max-steps", "2")
    return options


@pytest.fixture
def one_step(trained_once: dict[str, str], tmp_path: Path) -> Path:
    """A copy of its run; manifest and data are those of everybody."""
    return Path(shutil.copytree(trained_once["--run"], tmp_path / "one-step"))
