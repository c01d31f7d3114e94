from pathlib import Path

from orn.stage2_train.settings.recipe import apply_overrides
from tests.shared.config.test_toml_files import Optimizer, Recipe


def test_overrides_replace_and_leave_the_rest() -> None:
    recipe = Recipe(optimizer=Optimizer(learning_rate=0.1, name="adam"))
    changes = [
        *("optimizer.learning_rate=1e-3", "optimizer.warm_up=none"),
        *("epochs = 9", "title='5'", "checkpoint=/x/y.pth", "widths=[3,4]"),
    ]
    assert apply_overrides(recipe, changes) == Recipe(
        optimizer=Optimizer(learning_rate=0.001, name="adam", warm_up=None),
        epochs=9,
        title="5",
        checkpoint=Path("/x/y.pth"),
        widths=(3, 4),
    )
    assert recipe == Recipe(optimizer=Optimizer(learning_rate=0.1, name="adam"))
    assert apply_overrides(recipe, []) is recipe
