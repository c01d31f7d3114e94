"""A tiny network and recipe on the tiny world."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stage2_train.devices import build_accelerator
from stage2_train.model.config import NetworkConfig
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.training.loop import TrainingData, train_network
from stage2_train.training.recipe import (
    DataRecipe,
    OptimiserRecipe,
    PhaseRecipe,
    Recipe,
)
from stage2_train.training.sources import Sources

TINY_NETWORK = NetworkConfig(
    num_activities=2,
    base_width=2,
    mask_size=7,
    mask_features=4,
    relation_width=6,
    reasoning_state=5,
    activity_state=5,
    normalise_relations=True,
)
TINY_RECIPE = Recipe(
    model=TINY_NETWORK,
    data=DataRecipe(crop=(32, 48), max_objects=2, score_threshold=0.1),
    optimiser=OptimiserRecipe(
        name="adamw",
        learning_rate=1e-2,
        weight_decay=1e-2,
        schedule="one_cycle",
        gradient_clip=5.0,
        batch_size=2,
    ),
    phases=PhaseRecipe(object_head_epochs=1, epochs=2),
    log_every_steps=1,
    checkpoint_every_steps=3,
    seed=5,
)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """One epoch of the object head, two of everything; four steps an epoch."""
    return TINY_RECIPE


@pytest.fixture(scope="session")
def run_tiny(tiny_world) -> Callable[..., ObjectVideoNetwork]:
    """Trains a tiny network in a folder and returns it, with the state as attribute `state`."""

    def run(folder: Path, recipe: Recipe = TINY_RECIPE, **options) -> ObjectVideoNetwork:
        sources = Sources(
            dataset=options.pop("dataset", tiny_world.dataset),
            clips=tiny_world.clips(),
            detections=tiny_world.detections(),
        )
        validation = sources.clip_dataset(sources.join("validation"), recipe)
        if options.pop("without_validation", False):
            validation = None
        data = TrainingData(
            train=sources.clip_dataset(sources.join("train"), recipe),
            validation=validation,
            metric=sources.dataset.metric,
        )
        torch.manual_seed(recipe.seed)
        network = ObjectVideoNetwork(
            replace(recipe.model, num_activities=len(sources.dataset.classes))
        )
        network.state = train_network(
            network,
            recipe,
            data,
            folder,
            accelerator=build_accelerator(recipe.precision, "cpu"),
            **options,
        )
        return network

    return run
