"""The two phases, and batches that no memory holds."""

from dataclasses import replace

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import PhaseRecipe
from orn.stage2_train.runs import sources
from orn.stage2_train.runs.phases import plan_phases, steps_per_epoch
from orn.stage2_train.runs.sources import clip_settings
from orn.stage2_train.training.step import freeze_for


def test_lengths_in_epochs_and_steps(tiny_recipe) -> None:
    phases = plan_phases(tiny_recipe, num_segments=14)
    assert [(phase.name, phase.heads, phase.num_steps) for phase in phases] == [
        ("object_head", "object", 7),
        ("two_heads", "both", 14),
    ]
    by_steps = replace(tiny_recipe, phases=PhaseRecipe(object_head_epochs=1, epochs=2, steps=5))
    assert [phase.num_steps for phase in plan_phases(by_steps, num_segments=14)] == [7, 5]


def test_phases_without_steps_are_left_out(tiny_recipe) -> None:
    only = replace(tiny_recipe, phases=PhaseRecipe(object_head_epochs=0, epochs=2))
    assert [phase.heads for phase in plan_phases(only, num_segments=14)] == ["both"]
    none = replace(tiny_recipe, phases=PhaseRecipe(object_head_steps=0, steps=0))
    assert plan_phases(none, num_segments=14) == ()
    assert [steps_per_epoch(num, 3) for num in (1, 3, 4)] == [1, 1, 2]  # which rounds up


@pytest.mark.parametrize("heads", ["object", "activity"])
def test_one_head_has_one_phase_of_as_many_steps(heads, tiny_recipe) -> None:
    recipe = replace(tiny_recipe, model=replace(tiny_recipe.model, heads=heads))
    (phase,) = plan_phases(recipe, num_segments=14)
    assert (phase.name, phase.heads, phase.num_steps) == (f"{heads}_head", heads, 21)
    network = ObjectVideoNetwork(recipe.model)
    freeze_for(network, phase)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("parts", "unused"),
    [
        (("shape", "appearance", "class"), {"activity_head"}),
        (("shape",), {"activity_head", "trunk"}),
        (("class",), {"activity_head", "trunk"}),
    ],
)
def test_freezing(parts, unused, tiny_recipe) -> None:
    model = replace(tiny_recipe.model, object_parts=parts, head_combination="joint")
    network = ObjectVideoNetwork(model)
    object_phase, both_phase = plan_phases(tiny_recipe, num_segments=1)
    freeze_for(network, object_phase)
    frozen = {
        name.split(".")[0] for name, row in network.named_parameters() if not row.requires_grad
    }
    assert frozen == unused | {"joint"}
    freeze_for(network, both_phase)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("part", "name"), [("optimiser", "batch_size"), ("phases", "object_head_batch_size")]
)
def test_a_batch_larger_than_the_memory(part, name, tiny_recipe, monkeypatch) -> None:
    monkeypatch.setattr(sources, "machine_memory", lambda: 8 << 30)
    of_data = {"task": "single-label"}
    own = replace(getattr(tiny_recipe, part), **{name: 100_000})
    long = replace(tiny_recipe, data=replace(tiny_recipe.data, clip_frames=1000))
    recipe = replace(long, **{part: own})
    with pytest.raises(ConfigError, match=rf"^{part}\.{name}: .*100,000 clips .*at most \d+"):
        clip_settings(recipe, **of_data)
    object_head = replace(tiny_recipe.model, heads="object", object_parts=("shape", "class"))
    assert clip_settings(replace(recipe, model=object_head), **of_data).data.clip_frames == 1000
    assert clip_settings(tiny_recipe, **of_data).data.clip_frames == 4
