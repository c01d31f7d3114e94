"""Recipes: those that are shipped, and what is refused."""

import pytest

from orn.shared.config.toml_files import config_from_dict, to_dict
from orn.shared.errors import ConfigError
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe, default_recipe, load_recipe, recipe_names


def test_shipped_recipes_load() -> None:
    assert set(recipe_names()) >= {"paper_resnet50", "ablation_resnet18", "demo"}
    for name in recipe_names():
        recipe = load_recipe(name, num_activities=12)
        assert recipe.model.num_activities == 12
        assert config_from_dict(to_dict(recipe), Recipe, where=name) == recipe


@pytest.mark.parametrize(
    ("dataset", "recipe"),
    [
        ("demo", "demo"),
        ("epic", "paper_epic"),
        ("epic-cut24", "paper_epic"),
        ("something-v1", "paper_something"),
        ("kitchen", "small"),
    ],
)
def test_data_sets_have_the_right_recipe_by_themselves(dataset, recipe) -> None:
    assert default_recipe(dataset, num_segments=1999) == recipe
    large = "paper_resnet50" if recipe == "small" else recipe
    assert default_recipe(dataset, num_segments=2000) == large


@pytest.mark.parametrize(
    ("dataset", "backbone", "frames", "weight"),
    [("vlog", "resnet50", 4, 15), ("epic", "resnet18", 4, 1), ("something", "resnet50", 8, 1)],
)
def test_recipes_of_the_papers_data_sets(dataset, backbone, frames, weight) -> None:
    """The network is that of the text: no option but the backbone is set."""
    recipe = load_recipe(f"paper_{dataset}", num_activities=30)
    assert recipe.model == NetworkConfig(num_activities=30, backbone=backbone)
    assert recipe.data.clip_frames == frames
    assert recipe.losses.activity_loss_weight == weight * recipe.losses.object_loss_weight
    first, second = plan_phases(recipe, num_segments=320)
    assert (first.heads, first.batch_size, first.num_steps) == ("object", 32, 10 * 10)
    assert (second.heads, second.batch_size, second.num_steps) == ("both", 8, 20 * 40)
    assert not first.trains_resnet
    assert second.trains_resnet


@pytest.mark.parametrize(
    "override",
    [
        *("data.crop=[30, 64]", "data.crop=[16]", "data.crop=[16, 16, 16]", "data.crop=[16, 9999]"),
        "data.clip_frames=0",
        *(f"optimizer.{name}=0" for name in ("gradient_clip", "batch_size", "accumulation")),
        *(f"optimizer.learning_rate={value}" for value in ("0", "[[[")),
        *("optimizer.batch_size=0", "optimizer.name=sgd", "optimizer.learning_rat=1"),
        *("validation.patience=0", "log_every_steps=0", "seed=1e23", "model.num_activities=5"),
    ],
)
def test_refused(override) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0].replace(".", r"\.")):
        load_recipe("demo", num_activities=3, overrides=[override])


def test_every_number_has_limits() -> None:
    recipe = load_recipe("demo", num_activities=3)
    numbers = {
        name: value
        for name, value in _leaves(to_dict(recipe))
        if not isinstance(value, bool | str | list)
    }
    assert len(numbers) > 25
    for name in numbers.keys() - {
        f"model.{name}" for name in ("num_activities", "num_detector_classes", "num_frames")
    }:
        for value in (10**23, -(10**23), "nan", "inf"):
            with pytest.raises(ConfigError, match=rf"{name}: expected .*, got "):
                load_recipe("demo", num_activities=3, overrides=[f"{name}={value}"])


def _leaves(table, prefix=""):
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
