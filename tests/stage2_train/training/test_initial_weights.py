"""Which systems start from the weights of an image network."""

from orn.stage2_train.model.image_weights import image_network
from orn.stage2_train.settings.recipe import Recipe, load_recipe
from orn.stage2_train.settings.systems import system_names


def _recipe(system: str) -> Recipe:
    return load_recipe("ablation_resnet18", num_activities=3, system=system)


def test_which_systems_have_no_2d_network() -> None:
    without = [name for name in system_names() if image_network(_recipe(name).model) is None]
    assert without == ["coco-shape-object-head", "coco-class-object-head", "c3d-avg"]
