"""What the authors ran on VLOG, all of its settings together, on the tiny world."""

from dataclasses import replace

import pytest
import torch

from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.runs.run_folder import read_jsonl

TINY = [
    "initial_weights=random",
    "model.base_width=1",
    "model.mask_size=7",
    "model.mask_features=4",
    "model.class_features=3",
    "model.relation_width=6",
    "model.reasoning_state=5",
    "model.activity_state=5",
    "data.crop=[32, 48]",
    "data.max_objects=2",
    "optimiser.batch_size=2",
    "phases.object_head_batch_size=4",
    "phases.object_head_epochs=1",
    "phases.epochs=1",
    "log_every_steps=1",
    "checkpoint_every_steps=1",
]


def test_both_phases_and_resuming(tiny_world, run_tiny, tmp_path) -> None:
    recipe = load_recipe("authors_vlog", num_activities=2, overrides=TINY)
    dataset = replace(tiny_world.dataset, task="multi-label", metric="map")

    def train(folder: str, **options):
        return run_tiny(tmp_path / folder, recipe, dataset=dataset, **options)

    whole = train("whole")
    assert whole.state.step == 2 + 4
    lines = read_jsonl(tmp_path / "whole" / "metrics.jsonl")
    steps = [line for line in lines if line["group"] == "train"]
    assert [line["phase"] for line in steps] == ["object_head"] * 2 + ["two_heads"] * 4
    for line in steps:
        expected = 15 * line["activity_loss"] + line["object_class_loss"]
        assert line["loss"] == pytest.approx(expected, rel=1e-5)
    for stop in (1, 4):
        train("stopped", max_steps=stop)
    ours, theirs = whole.state_dict(), train("stopped").state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
