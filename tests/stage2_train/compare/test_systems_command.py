"""`orn systems`: what it lists, against sizes known from elsewhere."""

from torchvision.models import get_model

from orn.stage2_train.settings.systems import system_names
from tests.running import run_orn


def test_systems_as_json() -> None:
    systems = run_orn("systems", "--json").json["systems"]
    assert tuple(system["name"] for system in systems) == system_names()
    by_name = {system["name"]: system for system in systems}
    resnet = sum(weight.numel() for weight in get_model("resnet18", weights=None).parameters())
    classifier = 125 - 1000  # rows of 512 weights and a bias
    assert by_name["r18"]["parameters"] == resnet + 513 * classifier
    assert by_name["orn"]["parameters"] > by_name["activity-head"]["parameters"]
    orn_figures = {
        (row["table"], row["dataset"]): row["percent"] for row in by_name["orn"]["paper"]
    }
    assert orn_figures[1, "vlog"] == 44.7
    assert orn_figures[2, "something"] == 32.12
    assert by_name["clique-3-object-head"]["heads"] == "object"
    assert by_name["i3d"]["architecture"] == "i3d"
