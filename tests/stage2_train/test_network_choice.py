"""Settings given on top of a system: refused where they say nothing, and named where they do."""

import re

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.network_choice import system_as_changed
from orn.stage2_train.recipe import Recipe, load_recipe
from orn.stage2_train.systems import system_names

ALL_2D = 'model.kernels=["2d", "2d", "2d", "2d", "2d"]'


def load(system: str, *overrides: str, recipe: str = "paper_resnet50") -> Recipe:
    """A recipe of the paper under a system, for clips of 8 frames."""
    return load_recipe(recipe, num_activities=3, system=system, overrides=overrides, clip_frames=8)


@pytest.mark.parametrize(
    ("system", "override", "architecture"),
    [
        ("i3d", "model.temporal_start=identity", "i3d"),
        ("i3d", ALL_2D, "i3d"),
        ("i3d", "model.aggregation=mean", "i3d"),
        ("i3d", "model.backbone=resnet18", "i3d"),
        ("i3d", "model.clique_size=3", "i3d"),
        ("c3d-avg", "model.backbone=resnet18", "c3d"),
        ("c3d-avg", "model.num_frames=8", "c3d"),
        ("trn-multiscale", "model.aggregation=mean", "trn"),
        ("orn", "model.num_frames=4", "object_video"),
    ],
)
def test_a_choice_that_is_not_read_is_refused(system, override, architecture) -> None:
    name = override.partition("=")[0]
    message = f"--set {override}: architecture {architecture} does not read {name}; leave it out"
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(system, override)


def test_what_the_recipe_says_for_other_systems_may_stay(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nbackbone = "resnet50"\nclique_size = 3\naggregation = "mean"\n')
    for system in system_names():
        recipe = load(system, "model.base_width=8", "model.relation_width=7", recipe=str(path))
        assert recipe.model.relation_width == 7
    load("i3d", "model.temporal_start=replicate", "model.backbone=resnet50")  # as they are
    load("trn-multiscale", "model.backbone=resnet18", "model.num_frames=8")


def test_a_changed_system_is_called_so() -> None:
    def name(system: str, *overrides: str) -> str | None:
        return system_as_changed(system, load(system, *overrides).model)

    for system in system_names():
        assert name(system, "model.relation_width=7") == system
    assert name("orn", "model.clique_size=3") == "orn, with model.clique_size=3"
    changed = name("r50", 'model.kernels=["2d","2d","2d","2d","3d"]', "model.aggregation=rnn")
    assert changed == (
        'r50, with model.kernels=["2d", "2d", "2d", "2d", "3d"] model.aggregation=rnn'
    )
    assert name("orn", "model.backbone=resnet18") == "orn"  # which a recipe chooses
    assert name("r50", "model.backbone=resnet18") == "r50, with model.backbone=resnet18"
    assert system_as_changed(None, load("orn").model) is None
