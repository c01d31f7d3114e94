from pathlib import Path

from orn.shared.config.toml_files import config_from_dict
from orn.stage2_train.settings.recipe import apply_overrides
from tests.shared.config.test_toml_files import MINIMAL, Frozen, Optimizer, Recipe


def test_overrides_replace_and_leave_the_rest() -> None:
    recipe = config_from_dict(MINIMAL, Recipe, source="test")
    changes = [
        *("optimizer.learning_rate=1e-3", "optimizer.name=adam", "optimizer.warm_up=none"),
        *("epochs = 9", "title='5'", "checkpoint=/x/y.pth", "widths=[3,4]"),
        *("frozen.stages=2", "frozen.share=.5"),
    ]
    assert apply_overrides(recipe, changes) == Recipe(
        optimizer=Optimizer(learning_rate=0.001, name="adam", warm_up=None),
        epochs=9,
        title="5",
        checkpoint=Path("/x/y.pth"),
        widths=(3, 4),
        frozen=Frozen(stages=2, share=0.5),
    )
    assert recipe == config_from_dict(MINIMAL, Recipe, source="test")
    assert apply_overrides(recipe, []) is recipe
