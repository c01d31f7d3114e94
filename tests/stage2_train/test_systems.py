"""The systems of the tables: names, settings that fit, figures as the paper prints them."""

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.systems import PAPER_MODEL, SYSTEMS, find_system, system_names

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
        found = getattr(default, name)
        assert (list(found) if isinstance(found, tuple) else found) == value, name


def test_changes_are_changes_of_known_settings() -> None:
    for system in SYSTEMS:
        for name, value in system.changes.items():
            assert name == "backbone" or name in PAPER_MODEL, system.name
            if name != "temporal_start":
                assert PAPER_MODEL.get(name) != value or system.table == 5, (system.name, name)


def test_no_two_systems_are_the_same_but_where_the_tables_repeat_one() -> None:
    seen: dict[str, str] = {}
    repeated = []
    for system in SYSTEMS:
        settings = dict(system.settings)
        if "3d" not in settings["kernels"]:
            settings.pop("temporal_start")  # of 3D kernels alone
        key = repr(sorted(settings.items(), key=str))
        if key in seen:
            repeated.append((seen[key], system.name))
        seen[key] = system.name
    assert repeated == [("activity-head", "inflation-10")]


@pytest.mark.parametrize(
    ("name", "table", "figures"),
    [
        ("orn", 2, {"epic": "40.89", "vlog": "37.49", "something": "32.12"}),
        ("orn", 1, {"vlog": "44.7"}),
        ("orn", 3, {"something": "35.97"}),
        ("orn", 4, {"epic": "40.89"}),
        ("object-head", 2, {"epic": "29.94", "vlog": "27.14", "something": "10.26"}),
        ("activity-head", 2, {"epic": "38.33", "vlog": "35.03", "something": "31.31"}),
        ("orn-pixel-object-head", 2, {"epic": "23.71", "vlog": "14.40", "something": "2.51"}),
        ("coco-shape-object-head", 2, {"epic": "21.92", "vlog": "7.18"}),
        ("clique-3", 2, {"epic": "37.67", "vlog": "36.04"}),
        ("inflation-10", 5, {"something": "33.77"}),
        ("i3d", 1, {"vlog": "39.7"}),
        ("i3d", 3, {"something": "27.63"}),
        ("r50", 1, {"vlog": "40.5"}),
        ("trn-multiscale", 3, {"something": "33.60"}),
        ("c3d-avg", 3, {"something": "21.50"}),
        ("r18", 4, {"epic": "32.05"}),
        ("i3d-18", 4, {"epic": "34.20"}),
    ],
)
def test_figures_as_printed(name, table, figures) -> None:
    assert find_system(name).paper(table) == figures


def test_rows_of_a_table_are_all_there() -> None:
    for table, num_rows in ((1, 3), (2, 10), (3, 4), (4, 3), (5, 14)):
        rows = {
            figure.row for system in SYSTEMS for figure in system.figures if figure.table == table
        }
        assert rows == set(range(1, num_rows + 1)), table
    assert find_system("orn").tables == (1, 2, 3, 4)


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match=r"system 'clique3': .* did you mean 'clique-3'"):
        find_system("clique3")


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


def test_the_backbone_is_the_recipes_but_where_the_name_says_it() -> None:
    backbones = {
        name: load_recipe("paper_resnet50", num_activities=5, system=name).model.backbone
        for name in ("orn", "inflation-10", "r18", "i3d-18", "r50")
    }
    assert backbones == {
        "orn": "resnet50", "inflation-10": "resnet50", "r18": "resnet18", "i3d-18": "resnet18",
        "r50": "resnet50",
    }  # fmt: skip


def test_temporal_relations_are_made_for_the_clips_of_the_recipe_or_the_data_set() -> None:
    def frames(*overrides: str) -> int | None:
        recipe = load_recipe(
            "paper_resnet50",
            num_activities=5,
            system="trn-multiscale",
            overrides=overrides,
            clip_frames=8,
        )
        return recipe.model.num_frames

    assert frames() == 8
    assert frames("data.clip_frames=4") == 4
    with pytest.raises(ConfigError, match=r"model\.num_frames: .* 8 frames.* found 5"):
        frames("model.num_frames=5")
