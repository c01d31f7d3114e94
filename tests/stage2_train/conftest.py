"""The tiny world of stage 2, made once."""

from collections.abc import Callable
from functools import partial

import pytest

from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import Recipe
from tests.worlds.films import TINY_RECIPE, TinyWorld, build_world, train_tiny_network


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
