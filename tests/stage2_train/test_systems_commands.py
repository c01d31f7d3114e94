"""`orn systems` and `orn model summary`: what they list, against sizes known from elsewhere."""

import pytest
from torchvision.models import ResNet50_Weights, get_model

from orn.stage2_train.systems import system_names
from tests.running import run_orn


def summarise(*arguments: str) -> dict:
    """The JSON of `orn model summary`, layers by name."""
    report = run_orn("model", "summary", "--json", *arguments).json
    report["layers"] = {layer.pop("name"): layer for layer in report["layers"]}
    return report


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


def test_systems_of_one_table_as_text() -> None:
    _, *lines = run_orn("systems", "--table", "5").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [f"inflation-{row:02}" for row in range(1, 15)]
    assert "33.77" in lines[9]


def test_the_papers_dimensions() -> None:
    report = summarise("--set", "data.clip_frames=2")
    layers = report["layers"]
    assert report["clip"] == [2, 3, 224, 224]
    assert layers["object_head.encoder"]["output"] == [1, 2, 11, 2229]
    assert layers["object_head.relation"]["output"] == [1, 1, 512]
    assert layers["object_head.reasoning.gru"]["output"] == [1, 1, 256]
    assert layers["activity_head.classifier.gru"]["output"] == [1, 2, 512]
    assert layers["object_head.conv5"]["output"] == [2, 2048, 14, 14]
    assert layers["activity_head.conv5"]["output"] == [2, 2048, 7, 7]
    assert layers["object_head.classify_object"]["output"][-1] == 81
    assert sum(layer["parameters"] for layer in layers.values()) == report["parameters"]


def test_multiply_adds_of_a_resnet_are_those_that_torchvision_gives() -> None:
    report = summarise("--system", "r50", "--set", "data.clip_frames=2", "--num-activities", "1000")
    published = ResNet50_Weights.IMAGENET1K_V1.meta["_ops"] * 1e9  # of one image
    assert report["multiply_adds"] == pytest.approx(2 * published, rel=1e-3)
    assert report["parameters"] == ResNet50_Weights.IMAGENET1K_V1.meta["num_params"]


def test_multiply_adds_of_matrix_products_by_hand() -> None:
    small = ("--recipe", "demo", "--set", "model.base_width=2", "--num-activities", "7")
    layers = summarise(*small)["layers"]
    gru = layers["activity_head.classifier.gru"]
    assert gru["multiply_adds"] == 4 * 3 * 128 * (16 + 128)  # T steps, three gates
    assert layers["activity_head.classifier.classify"]["multiply_adds"] == 128 * 7
    encoder = layers["object_head.encoder"]
    assert encoder["multiply_adds"] == 4 * 9 * (28 * 28 * 100 + 100 * 100)
    relation = layers["object_head.relation"]
    pairs = 6 * 9 * 9  # of frames, of objects
    first = 2 * 4 * 9 * (100 + 16 + 81) * 128  # once an object, for each of its places
    assert relation["multiply_adds"] == first + pairs * 2 * 128 * 128


@pytest.mark.parametrize(("pairs", "fewer"), [("same_object", 9), ("different_objects", 9 / 8)])
def test_multiply_adds_of_some_pairs(pairs: str, fewer: float) -> None:
    small = ("--recipe", "demo", "--system", "object-head", "--set", "model.base_width=2")
    every, some = (
        summarise(*small, "--set", f"model.relation_pairs={each}")["layers"]
        for each in ("all", pairs)
    )
    first = 2 * 4 * 9 * (100 + 16 + 81) * 128
    work_of_pairs, left = (
        each["object_head.relation"]["multiply_adds"] - first for each in (every, some)
    )
    assert left * fewer == work_of_pairs


@pytest.mark.parametrize("system", ["coco-shape-object-head", "i3d", "trn-multiscale"])
def test_every_kind_of_network_is_summarised(system) -> None:
    arguments = ("--recipe", "demo", "--system", system, "--set", "model.base_width=4")
    report = summarise(*arguments)
    layers = report["layers"].values()
    assert sum(layer["parameters"] for layer in layers) == report["parameters"]
    assert sum(layer["multiply_adds"] for layer in layers) == report["multiply_adds"]
    assert f"{report['parameters']:,}" in run_orn("model", "summary", *arguments).stdout


def test_an_unknown_system() -> None:
    said = run_orn("model", "summary", "--system", "clique3", exit_code=2).stderr
    assert "'clique-3'" in said and "`orn systems`" in said
