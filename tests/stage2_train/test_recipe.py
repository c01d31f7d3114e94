"""Recipes: those that are shipped, and what is refused."""

import dataclasses
from itertools import pairwise

import pytest

from orn.shared.config.files import config_from_dict, to_dict
from orn.shared.errors import ConfigError
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.recipe import RECIPES, Recipe, default_recipe, load_recipe, recipe_names
from orn.stage2_train.runs.phases import plan_phases


def test_shipped_recipes_load() -> None:
    assert set(recipe_names()) >= {"paper_resnet50", "ablation_resnet18", "demo"}
    for name in recipe_names():
        recipe = load_recipe(name, num_activities=12)
        assert recipe.model.num_activities == 12
        assert config_from_dict(to_dict(recipe), Recipe, source=name) == recipe


def test_paper_recipe() -> None:
    recipe = load_recipe("paper_resnet50", num_activities=157)
    assert recipe.model.backbone == "resnet50"
    assert recipe.data.crop == (224, 224)
    assert recipe.feature_cells == (14, 14)
    assert (recipe.optimiser.name, recipe.optimiser.learning_rate) == ("adam", 1e-4)
    assert recipe.phases.object_head_epochs + recipe.phases.epochs == 30
    assert recipe.initial_weights == "imagenet"


@pytest.mark.parametrize(
    ("dataset", "recipe"),
    [
        ("demo", "demo"),
        ("demo-touch", "demo"),
        ("vlog", "paper_vlog"),
        ("epic", "paper_epic"),
        ("epic-cut24", "paper_epic"),
        ("something-v1", "paper_something"),
        ("something", "paper_something"),
        ("kitchen", "paper_resnet50"),
    ],
)
def test_data_sets_have_the_right_recipe_by_themselves(dataset, recipe) -> None:
    assert default_recipe(dataset) == recipe


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


def test_recipe_of_what_the_authors_ran() -> None:
    recipe = load_recipe("authors_vlog", num_activities=30)
    model = recipe.model
    assert model.object_width == 100 + 2048 + 100
    assert model.kernels == ("2d", "2d", "2d", "2d", "2.5d")
    assert (model.aggregation, model.mask_pooling) == ("mean", "interpolated")
    assert (model.relation_frames, model.gru_states) == ("same_after_first", "mean")
    assert (model.head_combination, model.mlp_dropout) == ("sum", 0.5)
    assert recipe.data.max_objects + model.background_object == 10
    assert recipe.data.train_with_validation
    assert recipe.data.unsure_in_evaluation == "negative"
    assert recipe.optimiser.gradient_clip == 10
    assert (recipe.phases.object_head_epochs, recipe.phases.epochs) == (10, 10)
    assert build_network(dataclasses.replace(model, base_width=1)).object_head.conv5 is not None


@pytest.mark.parametrize("name", recipe_names())
def test_every_value_of_a_papers_recipe_has_its_source(name) -> None:
    if name in ("demo", "paper_resnet50", "ablation_resnet18"):
        return
    lines = (RECIPES / f"{name}.toml").read_text().splitlines()
    for above, line in pairwise(lines):
        is_setting = "=" in line.partition("#")[0]
        assert not is_setting or "#" in line or above.startswith("#"), line


def test_overrides() -> None:
    overrides = ["optimiser.learning_rate=0.5", "data.crop=[32, 64]", "losses.reduction=sum"]
    recipe = load_recipe("demo", num_activities=3, overrides=overrides)
    assert recipe.optimiser.learning_rate == 0.5
    assert recipe.feature_cells == (2, 4)
    assert recipe.losses.reduction == "sum"


def test_object_stride_changes_the_cells() -> None:
    overrides = ["model.conv5_object_stride=2", "data.crop=[64, 96]"]
    assert load_recipe("demo", num_activities=3, overrides=overrides).feature_cells == (2, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.crop=[30, 64]", r"data\.crop\[0\]: wanted a multiple of 16, found 30"),
        ("data.clip_frames=0", r"data\.clip_frames: wanted at least 1 or .none., found 0"),
        ("data.train_segments=0", r"data\.train_segments: wanted at least 1 or .none., found 0"),
        ("data.max_objects=0", r"data\.max_objects: wanted at least 1, found 0"),
        ("data.score_threshold=1.5", r"data\.score_threshold: wanted at most 1, found 1\.5"),
        ("optimiser.learning_rate=0", r"optimiser\.learning_rate: wanted more than 0, found 0"),
        ("optimiser.weight_decay=-1", r"optimiser\.weight_decay: wanted at least 0, found -1"),
        ("optimiser.warm_up_share=1", r"warm_up_share: wanted less than 1, found 1"),
        ("optimiser.gradient_clip=0", r"gradient_clip: wanted more than 0 or .none., found 0"),
        ("optimiser.batch_size=0", r"batch_size: wanted at least 1, found 0"),
        ("optimiser.accumulation=0", r"accumulation: wanted at least 1, found 0"),
        ("phases.steps=-1", r"phases\.steps: wanted at least 0 or .none., found -1"),
        ("losses.object_loss_weight=-1", r"object_loss_weight: wanted at least 0, found -1"),
        ("validation.patience=0", r"validation\.patience: wanted at least 1 or .none., found 0"),
        ("log_every_steps=0", r"log_every_steps: wanted at least 1, found 0"),
        ("seed=-1", r"seed: wanted at least 0, found -1"),
        (f"seed={'9' * 30}", r"seed: wanted less than 9223372036854775808, found 9999"),
        ("seed=1e23", r"seed: wanted a whole number, found 1e\+23"),
        ("data.crop=[16, 65520]", r"data\.crop\[1\]: wanted at most 4096, found 65520"),
        (
            "data.clip_frames=1000000000",
            r"data\.clip_frames: wanted at most 10000 or .none., found",
        ),
        ("data.max_objects=1001", r"data\.max_objects: wanted at most 1000, found 1001"),
        ("optimiser.batch_size=1000000000000", r"batch_size: wanted at most 100000, found 1000000"),
        ("optimiser.accumulation=100001", r"accumulation: wanted at most 100000, found 100001"),
        ("optimiser.learning_rate=1e300", r"learning_rate: wanted at most 1000, found 1e\+300"),
        ("optimiser.weight_decay=inf", r"weight_decay: wanted a finite number, found inf"),
        ("optimiser.weight_decay=1e7", r"weight_decay: wanted at most 1000000, found 10000000"),
        ("losses.object_loss_weight=1e99", r"object_loss_weight: wanted at most 1000000, found 1"),
        ("phases.epochs=1000001", r"phases\.epochs: wanted at most 1000000, found 1000001"),
        ("phases.steps=1000000001", r"phases\.steps: wanted at most 1000000000 or .none., found"),
        ("validation.clips=1001", r"validation\.clips: wanted at most 1000, found 1001"),
        ("model.base_width=4097", r"model\.base_width: wanted at most 4096, found 4097"),
        ("model.mask_size=1025", r"model\.mask_size: wanted at most 1024, found 1025"),
        ("model.relation_width=65537", r"relation_width: wanted at most 65536, found 65537"),
        ("model.num_frames=10001", r"num_frames: wanted at most 10000 or .none., found 10001"),
        ("data.crop=[16]", r"data\.crop: wanted more entries, found \[16\]"),
        ("data.crop=[16, 16, 16]", r"data\.crop: wanted at most 2 entries, found \[16, 16, 16\]"),
        ("optimiser.learning_rate=nan", r"learning_rate: wanted a finite number, found nan"),
        ("optimiser.learning_rate=[[[", r"learning_rate: wanted a number, found '\[\[\['"),
        ("model.num_activities=5", r"wanted the data set's 3, found 5; it cannot be set"),
        ("optimiser.learning_rat=1", r"unknown key.*optimiser\.learning_rate"),
        ("optimiser.name=sgd", r"optimiser\.name: wanted one of 'adam', 'adamw', found 'sgd'"),
    ],
)
def test_refused(override, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe("demo", num_activities=3, overrides=[override])


def test_every_number_has_limits() -> None:
    recipe = load_recipe("demo", num_activities=3)
    numbers = {
        name: value
        for name, value in _leaves(to_dict(recipe))
        if not isinstance(value, bool | str | list)
    }
    assert len(numbers) > 25
    for name in numbers.keys() - {"model.num_activities"}:
        for value in (10**23, -(10**23), "nan", "inf"):
            with pytest.raises(ConfigError, match=rf"{name}: wanted .*, found "):
                load_recipe("demo", num_activities=3, overrides=[f"{name}={value}"])


def _leaves(table, prefix=""):
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.conv5_object_stride=2", "data.crop=[48, 64]"],
            r"data\.crop: wanted multiples of 32.*found \[48, 64\]",
        ),
        (
            ["compile=true", "checkpoint_activations=true"],
            "checkpoint_activations: wanted false together with compile, found true",
        ),
    ],
)
def test_settings_must_fit_each_other(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe("demo", num_activities=3, overrides=overrides)


def test_files(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[model]\nbase_width = 8\n")
    assert load_recipe(str(path), num_activities=3).model.base_width == 8
    path.write_text("[model]\nnum_activities = 8\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: model\.num_activities comes from the data"):
        load_recipe(str(path), num_activities=3)
    path.write_text("model = 8\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: model: wanted a table, found 8"):
        load_recipe(str(path), num_activities=3)
    path.write_text("[model\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: is not a TOML file"):
        load_recipe(str(path), num_activities=3)


def test_unknown_recipe() -> None:
    with pytest.raises(
        ConfigError, match=r"'paper_resnet5'.*one of .*did you mean 'paper_resnet50'"
    ):
        load_recipe("paper_resnet5", num_activities=3)
