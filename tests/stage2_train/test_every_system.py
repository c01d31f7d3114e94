"""Every system of the tables trains a step of each phase and is measured; on films of one label
each, and two of them on films of several labels and on long films."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from orn.demo.world.dials import Dials
from orn.demo.world.make import SIZES, write_dataset
from orn.demo.world.truth_shards import write_truth_shards
from orn.shared.manifests.load import load_dataset
from orn.shared.shards.reader import DetectionFolder
from orn.stage2_train.clips.batches import LoaderSettings, training_loader
from orn.stage2_train.clips.views import Views
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.evaluation.metrics import score_heads
from orn.stage2_train.evaluation.predictions import predict
from orn.stage2_train.frames.make_clips import make_clips
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.request import ClipsRequest
from orn.stage2_train.model.build import build_network
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.sources import Sources
from orn.stage2_train.systems import system_names
from orn.stage2_train.training.step import build_optimiser, freeze_for, training_step

SMALL = (
    "model.base_width=2",
    "model.mask_size=7",
    "model.mask_features=4",
    "model.relation_width=6",
    "model.reasoning_state=5",
    "model.activity_state=5",
    "optimiser.batch_size=2",
)
FILMS = SIZES["short"] | {"demo": (2, 2, 0), "demo-touch": (2, 2, 0), "demo-long": (1, 1, 0)}
SETTINGS = LoaderSettings(batch_size=2)
HEADS = {
    "both": {"two_heads", "activity_head", "object_head"},
    "object": {"object_head"},
    "activity": {"activity_head"},
}


CASES = [
    *(("demo", name) for name in system_names()),
    ("demo-touch", "orn"),
    ("demo-long", "trn-multiscale"),
]


@pytest.fixture(scope="module")
def small_demo(request, tmp_path_factory):
    """Sources of a data set, a batch to train on, and two clips to be measured on."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    write_dataset(name, folder, films=FILMS[name], dials=Dials(), seed=0, workers=1)
    write_truth_shards(name, folder, folder / "shards")
    make_clips(ClipsRequest(manifest=name, data_root=folder, out=folder / "clips"))
    sources = Sources(
        dataset=load_dataset(name, folder),
        clips=ClipStore(folder / "clips"),
        detections=DetectionFolder(folder / "shards"),
    )
    recipe = load_recipe("demo", num_activities=len(sources.dataset.classes), overrides=SMALL)
    train = sources.clip_dataset(sources.join("train", recipe), recipe)
    joined = sources.join("validation", recipe)
    validation = sources.clip_dataset(replace(joined, segments=joined.segments[:2]), recipe)
    batch = next(iter(training_loader(train, SETTINGS, epochs=range(1))))
    assert batch.valid_BTK.any()
    return sources, batch, validation


@pytest.fixture(scope="module")
def accelerator():
    return build_accelerator("fp32", "cpu")


@pytest.mark.parametrize(  # the scope, or each test draws the films anew
    ("small_demo", "name"), CASES, indirect=["small_demo"], scope="module"
)
def test_a_step_of_each_phase_and_an_evaluation(name, small_demo, accelerator, tmp_path) -> None:
    sources, batch, validation = small_demo
    recipe = load_recipe(
        "demo",
        num_activities=len(sources.dataset.classes),
        overrides=SMALL,
        system=name,
        clip_frames=sources.dataset.clip_frames,
    )
    torch.manual_seed(0)
    network = build_network(recipe.model)
    for phase in plan_phases(recipe, num_segments=1):
        freeze_for(network, phase)
        trained = {key: row for key, row in network.named_parameters() if row.requires_grad}
        before = {key: row.clone() for key, row in trained.items()}
        values = training_step(
            accelerator,
            network.train(),
            build_optimiser(network.parameters(), recipe.optimiser),
            [batch],
            recipe=recipe,
            heads=phase.heads,
            step=0,
            run=tmp_path,
        )
        assert all(np.isfinite(value) for value in values.values())
        unused = [key for key, row in trained.items() if row.grad is None]
        assert unused == [], phase.name  # several processes wait for each gradient
        unmoved = [key for key, row in trained.items() if torch.equal(row, before[key])]
        assert len(unmoved) < len(before) / 2, unmoved
    predictions = predict(
        network, validation, SETTINGS, heads=phase.heads, views=Views(), accelerator=accelerator
    )
    assert set(score_heads(predictions, validation)) == HEADS[recipe.model.heads]
    assert predictions.logits.shape == (2, len(sources.dataset.classes))
    assert np.isfinite(predictions.logits).all()
