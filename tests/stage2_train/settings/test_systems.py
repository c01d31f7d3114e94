"""The systems of the tables: names, settings that fit, figures as the paper prints them."""

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe, load_recipe
from orn.stage2_train.settings.systems import SYSTEMS, find_system, system_names

OBJECT_SYSTEMS = (
    "orn-pixel", "orn-mlp", "coco-visual", "coco-shape", "coco-class", "coco-intra", "clique-1",
    "clique-3",
)  # fmt: skip


def test_every_name_of_the_tables_is_there_once() -> None:
    expected = {"orn", "activity-head", "object-head", *OBJECT_SYSTEMS}
    expected |= {f"{name}-object-head" for name in OBJECT_SYSTEMS}
    expected |= {f"inflation-{row:02}" for row in range(1, 15)}
    expected |= {"r18", "r50", "i3d-18", "i3d", "c3d-avg", "trn-multiscale"}
    assert set(system_names()) == expected
    assert len(system_names()) == len(expected) == 39


def test_the_proposed_system_is_the_default_network() -> None:
    default = NetworkConfig(num_activities=3)
    for name, value in find_system("orn").settings.items():
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(default, name) == expected, name


def test_a_system_sets_the_model_alone_and_overrides_come_after() -> None:
    plain = load_recipe("demo", num_activities=5)
    recipe = load_recipe(
        "demo",
        num_activities=5,
        system="coco-intra",
        overrides=("model.relation_width=7", "model.reasoning=mlp"),
    )
    assert recipe.model.relation_frames == "same"
    assert (recipe.model.relation_width, recipe.model.reasoning) == (7, "mlp")
    assert recipe.model.base_width == plain.model.base_width == 16
    assert recipe.data == plain.data
    assert recipe.phases == plain.phases


def test_a_system_replaces_every_choice_of_the_recipe(tmp_path) -> None:
    path = tmp_path / "other.toml"
    path.write_text('[model]\nclique_size = 3\nheads = "object"\naggregation = "mean"\n')
    recipe = load_recipe(str(path), num_activities=5, system="orn")
    assert recipe.model == NetworkConfig(num_activities=5)


def test_temporal_relations_are_made_for_the_clips_of_the_recipe_or_the_data_set() -> None:
    def frames(*overrides: str) -> int | None:
        return load("trn-multiscale", *overrides).model.num_frames

    assert frames() == 8
    assert frames("data.clip_frames=4") == 4
    with pytest.raises(ConfigError, match=r"model\.num_frames: .* 8 frames.* got 5"):
        frames("model.num_frames=5")


def load(system: str, *overrides: str, recipe: str = "paper_resnet50") -> Recipe:
    """A recipe of the paper under a system, for clips of 8 frames."""
    return load_recipe(recipe, num_activities=3, system=system, overrides=overrides, clip_frames=8)


def test_rows_of_a_table_are_all_there() -> None:
    for table, num_rows in ((1, 3), (2, 10), (3, 4), (4, 3), (5, 14)):
        rows = {
            figure.row for system in SYSTEMS for figure in system.figures if figure.table == table
        }
        assert rows == set(range(1, num_rows + 1)), table
    assert find_system("orn").tables == (1, 2, 3, 4)
