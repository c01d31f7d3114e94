"""The rows of each table."""

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.rows import table_rows, wide_activity_head
from orn.stage2_train.model.summary import count_parameters
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.systems import find_system


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("demo", num_activities=12)


def _names(table, recipe, wanted=()) -> tuple[str, ...]:
    return tuple(row.name for row in table_rows(table, wanted, recipe))


def test_tables(recipe) -> None:
    assert len(_names("2", recipe)) == 19
    assert len(_names("5", recipe)) == 14
    baselines = ("r50", "i3d", "c3d-avg", "trn-multiscale", "r18", "i3d-18")
    assert _names("baselines", recipe) == (*baselines, "activity-head", "orn")
    assert _names("2", recipe, ("orn", "activity-head")) == ("activity-head", "orn")
    assert _names("controls", recipe)[-3:] == ("shuffled-frames", "boxes", "mixed-classes")


def test_refuses_a_row_of_another_table(recipe) -> None:
    with pytest.raises(ConfigError, match=r"'r50': .*activity-head"):
        table_rows("2", ("r50",), recipe)


def test_every_row_is_a_recipe(recipe) -> None:
    for table in ("2", "5", "baselines", "controls"):
        for row in table_rows(table, (), recipe):
            load_recipe(
                "demo", num_activities=12, system=row.system, overrides=row.overrides, clip_frames=4
            )


def test_the_wide_activity_head_has_as_many_parameters(recipe) -> None:
    width = wide_activity_head(recipe)

    def parameters(system: str, base_width: int) -> int:
        changed = load_recipe(
            "demo",
            num_activities=12,
            system=system,
            overrides=(f"model.base_width={base_width}",),
        )
        return count_parameters(changed.model)

    wanted = parameters("orn", recipe.model.base_width)
    assert parameters("activity-head", width - 1) < wanted <= parameters("activity-head", width)
    assert find_system("activity-head").settings["heads"] == "activity"


def test_a_wide_head_needs_a_random_start() -> None:
    recipe = load_recipe("ablation_resnet18", num_activities=12)
    assert "wide-activity-head" not in _names("controls", recipe)
    with pytest.raises(ConfigError, match="--set initial_weights=random"):
        table_rows("controls", ("wide-activity-head",), recipe)


def test_a_baseline_has_no_wide_activity_head() -> None:
    i3d = load_recipe("demo", num_activities=12, system="i3d")
    with pytest.raises(ConfigError, match="heads: wanted activity, for architecture i3d"):
        wide_activity_head(i3d)
