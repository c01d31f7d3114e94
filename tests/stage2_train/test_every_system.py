"""Every system of the tables and every recipe trains a step of each phase, is measured and
explained, in both precisions, on an emulated device, which refuses what a GPU refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clips.batches import LoaderSettings, training_loader
from orn.stage2_train.evaluation.metrics import score_heads
from orn.stage2_train.evaluation.predict_split import predict
from orn.stage2_train.model.build import build_network
from orn.stage2_train.report.importance import explain
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.settings.recipe import load_recipe, recipe_names
from orn.stage2_train.settings.systems import SYSTEMS
from orn.stage2_train.training.step import build_optimizer, freeze_for, training_step
from tests.emulated_device import emulated_device
from tests.stage2_train.model.conftest import EVERY_KIND
from tests.stage2_train.training.conftest import sources_of
from tests.worlds.films import STORED, write_store

SMALL = (
    "model.base_width=2",
    "model.mask_size=7",
    "model.mask_features=4",
    "model.relation_width=6",
    "model.reasoning_state=5",
    "model.activity_state=5",
    "data.crop=[32, 48]",
    "optimizer.batch_size=2",
)
SETTINGS = LoaderSettings(batch_size=2)
HEADS = {
    "both": {"two_heads", "activity_head", "object_head"},
    "object": {"object_head"},
    "activity": {"activity_head"},
}


MAPS = ("model.backbone=timm/test_efficientnet", "data.crop=[32,64]")


@pytest.fixture(scope="module")
def moving_world(tiny_world, tmp_path_factory):
    """With the motion of as many cells as the maps of `MAPS` have."""
    path = tmp_path_factory.mktemp("moving")
    write_store(path, [*tiny_world.films.values()], replace(STORED, motion=motion_settings((1, 2))))
    return replace(tiny_world, store_path=path)


def clips_for(world, overrides, *, recipe="demo"):
    """A batch to train on, and two clips to be measured on."""
    opened = sources_of(world)
    recipe = load_recipe(recipe, num_activities=2, overrides=overrides)
    train = opened.clip_dataset(opened.join("train", recipe), recipe)
    joined = opened.join("validation", recipe)
    validation = opened.clip_dataset(replace(joined, segments=joined.segments[:2]), recipe)
    batch = next(iter(training_loader(train, SETTINGS, epochs=range(1))))
    assert batch.valid_BTK.any()
    return batch, validation


@pytest.fixture(scope="module")
def clips(tiny_world):
    return clips_for(tiny_world, SMALL)


@pytest.fixture(scope="module")
def mapped_clips(tiny_world):
    return clips_for(tiny_world, (*SMALL, *MAPS))


EITHER_PRECISION = pytest.mark.parametrize(
    "precision", [pytest.param("fp32", marks=pytest.mark.slow), "bf16"]
)
"""The quick suite has bf16, which refuses all that fp32 refuses, and mixed types besides."""


@EITHER_PRECISION
@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_system(name, precision, clips) -> None:
    recipe = load_recipe("demo", num_activities=2, overrides=SMALL, system=name, clip_frames=4)
    try_recipe(recipe, precision, clips)


@EITHER_PRECISION
@pytest.mark.parametrize("name", [system.name for system in SYSTEMS if system.table == 2])
def test_the_systems_of_table_2_on_maps(name, precision, mapped_clips) -> None:
    overrides = (*SMALL, *MAPS)
    recipe = load_recipe("demo", num_activities=2, overrides=overrides, system=name, clip_frames=4)
    try_recipe(recipe, precision, mapped_clips)


@EITHER_PRECISION
@pytest.mark.parametrize(
    ("name", "maps"),
    [
        *((name, ()) for name in recipe_names() if name != "small"),  # which is made for maps
        *((name, MAPS) for name in recipe_names() if name != "authors_vlog"),  # made for a ResNet
    ],
)
def test_every_recipe(name, maps, precision, moving_world) -> None:
    overrides = (*SMALL, *maps)
    clips = clips_for(moving_world, overrides, recipe=name)
    recipe = load_recipe(name, num_activities=2, overrides=overrides)
    try_recipe(recipe, precision, clips)


def try_recipe(recipe, precision, clips) -> None:
    with emulated_device():
        train_and_evaluate(recipe, clips, build_accelerator(precision, "cpu"))


def train_and_evaluate(recipe, clips, accelerator) -> None:
    batch, validation = clips
    torch.manual_seed(0)
    network = build_network(recipe.model).to(accelerator.device)
    for phase in plan_phases(recipe, num_segments=1):
        freeze_for(network, phase)
        trained = {key: row for key, row in network.named_parameters() if row.requires_grad}
        before = {key: row.clone() for key, row in trained.items()}
        values = training_step(
            accelerator,
            network.train(),
            build_optimizer(network.parameters(), recipe.optimizer),
            [batch],
            recipe=recipe,
            heads=phase.heads,
            step=0,
        )
        assert all(np.isfinite(value) for value in values.values())
        unused = [key for key, row in trained.items() if row.grad is None]
        assert unused == [], phase.name  # several processes wait for each gradient
        unmoved = [key for key, row in trained.items() if torch.equal(row, before[key])]
        assert len(unmoved) < len(before) / 2, unmoved
    predictions = predict(network, validation, SETTINGS, heads=phase.heads, accelerator=accelerator)
    assert set(score_heads(predictions, validation)) == HEADS[recipe.model.heads]
    assert predictions.logits.shape == (2, 2)
    assert np.isfinite(predictions.logits).all()
    if getattr(network, "relates_pairs", False):
        importance = explain(network, batch.to(accelerator.device), heads=phase.heads)
        assert importance.logit_drop_P.isfinite().all()
        assert len(importance.pairs_of(0, 3)) > 0
