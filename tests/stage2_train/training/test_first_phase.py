"""What the first phase trains, in which batches, and what it hands over to the second."""

from dataclasses import replace

import pytest
import torch

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.settings.recipe import PhaseRecipe
from tests.stage2_train.training.conftest import before_each_step


def first_weights_of_the_second_phase(run_tiny, recipe, folder, **options) -> dict:
    """The network's state when the second phase makes its first step."""
    seen: dict = {}

    def note(model, _, **options):
        if options["heads"] == "both" and not seen:
            seen.update({key: value.clone() for key, value in model.state_dict().items()})

    with before_each_step(note):
        run_tiny(folder, recipe, **options)
    return seen


@pytest.mark.parametrize(("warm_start", "step"), [("best", 4), ("last", 8)])
def test_which_weights_are_handed_over(
    warm_start, step, run_tiny, tiny_recipe, tmp_path, scripted_metrics
) -> None:
    phases = PhaseRecipe(object_head_epochs=2, epochs=1, warm_start=warm_start)
    recipe = replace(tiny_recipe, phases=phases)
    scripted_metrics(0.9, 0.1)
    until = run_tiny(tmp_path, recipe, max_steps=step).state_dict()
    weights = first_weights_of_the_second_phase(run_tiny, recipe, tmp_path, max_steps=9)
    assert all(torch.equal(weights[name], until[name]) for name in until)


@pytest.mark.parametrize("trains_resnet", [False, True])
def test_the_first_phase_trains_the_object_head_and_the_second_everything(
    run_tiny, tiny_recipe, tmp_path, trains_resnet
) -> None:
    """Statistics of a frozen ResNet move."""
    phases = PhaseRecipe(object_head_epochs=1, epochs=1, object_head_trains_resnet=trains_resnet)
    recipe = replace(tiny_recipe, phases=phases)
    torch.manual_seed(recipe.seed)
    first = build_object_network(recipe.model)
    learned, before = dict(first.named_parameters()), first.state_dict()
    after = first_weights_of_the_second_phase(run_tiny, recipe, tmp_path)
    for name, weights in after.items():
        is_of_resnet = name.startswith(("trunk.", "object_head.objects.parts.appearance.conv5."))
        stays = is_of_resnet and name in learned and not trains_resnet
        stays = stays or name.startswith("activity_head.")
        assert torch.equal(weights, before[name]) == stays, name
    moved = run_tiny(tmp_path, recipe).state_dict()
    assert not any(torch.equal(moved[name], before[name]) for name in learned)


def test_reasoning_starts_fresh_in_the_second_phase(run_tiny, tiny_recipe, tmp_path) -> None:
    model = replace(tiny_recipe.model, variant="authors")
    recipe = replace(tiny_recipe, model=model)
    torch.manual_seed(recipe.seed)
    fresh = build_object_network(model).state_dict()
    first_weights = first_weights_of_the_second_phase(run_tiny, recipe, tmp_path / "whole")
    for name, weights in first_weights.items():
        if name.startswith("object_head.reasoning."):
            assert torch.equal(weights, fresh[name]), name
        if name.startswith("object_head.first_phase."):
            assert not torch.equal(weights, fresh[name]), name
