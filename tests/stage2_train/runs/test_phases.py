"""The two phases, and batches that no memory holds."""

from dataclasses import replace

import pytest

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.runs.phases import plan_phases, steps_per_epoch
from orn.stage2_train.settings.recipe import PhaseRecipe
from orn.stage2_train.training.step import freeze_for


def test_phases_without_steps_are_left_out(tiny_recipe) -> None:
    only = replace(tiny_recipe, phases=PhaseRecipe(object_head_epochs=0, epochs=2))
    assert [phase.heads for phase in plan_phases(only, num_segments=14)] == ["both"]
    none = replace(tiny_recipe, phases=PhaseRecipe(object_head_epochs=0, epochs=0))
    assert plan_phases(none, num_segments=14) == ()
    assert [steps_per_epoch(num, 3) for num in (1, 3, 4)] == [1, 1, 2]  # which rounds up


@pytest.mark.parametrize("heads", ["object", "activity"])
def test_one_head_has_one_phase_of_as_many_steps(heads, tiny_recipe) -> None:
    recipe = replace(tiny_recipe, model=replace(tiny_recipe.model, heads=heads))
    (phase,) = plan_phases(recipe, num_segments=14)
    assert (phase.name, phase.heads, phase.num_steps) == (f"{heads}_head", heads, 21)
    network = build_object_network(recipe.model)
    freeze_for(network, phase)
    assert all(parameter.requires_grad for parameter in network.parameters())
