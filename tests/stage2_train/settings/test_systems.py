"""The systems of the tables: names, settings that fit, figures as the paper prints them."""

from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe, load_recipe
from orn.stage2_train.settings.systems import SYSTEMS, find_system


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


def test_temporal_relations_are_made_for_the_clips_of_the_recipe_or_the_data_set() -> None:
    def frames(*overrides: str) -> int | None:
        return load("trn-multiscale", *overrides).model.num_frames

    assert frames() == 8
    assert frames("data.clip_frames=4") == 4
    with pytest.raises(ConfigError, match=r"model\.num_frames .*clip_frames"):
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
    assert {figure.table for figure in find_system("orn").figures} == {1, 2, 3, 4}


def test_the_page_lists_every_system_with_its_results() -> None:
    """A system's row also has the results of its object head alone, after a slash."""
    lines = (Path(__file__).parents[3] / "docs" / "train.md").read_text().splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")] for line in lines]
    for system in (each for each in SYSTEMS if each.table != 5):
        first = system.figures[0]
        results = {
            each.dataset: each.printed for each in system.figures if each.table == first.table
        }
        name, is_alone = system.name, system.name.endswith("object-head")
        if is_alone:
            name = name.removesuffix("object-head").removesuffix("-") or "orn"
        (row,) = (row for row in rows if row[1:2] == [name] and len(row) > 6)
        assert row[3:5] == [str(first.table), str(first.row)], name
        of_page = [cell.split(" / ") if cell else [""] * 2 for cell in row[5:8]]
        printed = [results.get(dataset, "") for dataset in ("epic", "vlog", "something")]
        assert [cell[-1 if is_alone else 0] for cell in of_page] == printed, system.name
