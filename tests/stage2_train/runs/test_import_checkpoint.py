"""The network that the authors released as a run: against a plain forward pass by their names."""

import json
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from orn.shared.cli import orn
from orn.stage1_detect.imports.planning import _entry
from orn.stage2_train.model.authors_weights import settings_of, weights_of
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.predict.opened import open_model
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.runs import import_checkpoint as job
from orn.stage2_train.runs.checkpoint import load_checkpoint
from orn.stage2_train.runs.run_config import load_run_config
from tests.reference.authors_network import authors_layout, authors_logits
from tests.worlds.films import make_workspace

SMALL = {"depth": 18, "base": 2, "activities": 2}
LAYOUTS = {
    "as-released": {"base": 2},
    "resnet18": {"depth": 18, "base": 4},
    "2.5d": {"depth": 18, "base": 4, "kernels": ("2.5d", "2d", "2.5d", "2.5d", "2.5d")},
    "3d": {"base": 2, "kernels": ("2d", "3d", "2d", "3d", "3d")},
}


def write(path: Path, weights: dict[str, Tensor], **more: object) -> Path:
    """A checkpoint as theirs is, in the form of torch before 1.6 as in 2018."""
    content = {
        "epoch": 10,
        "arch": "orn_two_heads",
        "state_dict": OrderedDict((f"module.{name}", each) for name, each in weights.items()),
        "best_metric_val": -0.1,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [1, 2]}]},
        **more,
    }
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def clip(generator: torch.Generator, num_classes: int) -> tuple[NetworkInputs, Tensor]:
    """One clip, every slot an object, and its classes as theirs count them."""
    labels_TK = torch.randint(0, num_classes, (3, 4), generator=generator)
    scores_TKS = 0.3 * torch.rand(3, 4, num_classes, generator=generator, dtype=torch.float64)
    ours_TK = (labels_TK - 1) % num_classes  # the background is the last
    scores_TKS[..., :-1] *= (ours_TK < num_classes - 1)[..., None]
    scores_TKS.scatter_(2, ours_TK[..., None], 0.7)
    masks_TKyx = (torch.rand(3, 4, 28, 28, generator=generator) < 0.4).double()
    batch = NetworkInputs(
        frames_BTCHW=torch.randint(
            0, 256, (1, 3, 3, 64, 96), generator=generator, dtype=torch.uint8
        ),
        masks_BTKhw=masks_TKyx[None],
        coverage_BTKhw=torch.rand(1, 3, 4, 4, 6, generator=generator, dtype=torch.float64),
        class_scores_BTKS=scores_TKS[None],
        valid_BTK=torch.ones(1, 3, 4, dtype=torch.bool),
    )
    return batch, labels_TK


def imported(theirs: dict[str, Tensor]) -> torch.nn.Module:
    sizes = settings_of(theirs)
    recipe = load_recipe("authors_vlog", num_activities=sizes["num_activities"]).model
    kept = {name: getattr(recipe, name) for name in recipe.__dataclass_fields__}
    network = build_network(NetworkConfig(**kept | sizes | {"first_phase_reasoning": "kept"}))
    network.load_state_dict(weights_of(theirs, network.state_dict()))
    return network.double().eval()


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_imported_network_gives_the_logits_of_theirs(name) -> None:
    theirs = authors_layout(**LAYOUTS[name])
    batch, labels_TK = clip(torch.Generator().manual_seed(1), num_classes=81)
    wide = {key: each.double() for key, each in theirs.items()}
    expected_A, expected_TKS = authors_logits(
        wide, batch.frames_BTCHW[0], batch.masks_BTKhw[0], labels_TK
    )
    output = imported(theirs)(batch)
    # Frames are normalised by constants that are rounded to float32 here and are not there.
    torch.testing.assert_close(output.logits_BA[0], expected_A, rtol=1e-5, atol=1e-5)
    found_TKS = output.class_logits_BTKS[0].roll(1, dims=2)
    torch.testing.assert_close(found_TKS, expected_TKS, rtol=1e-5, atol=1e-5)
    assert expected_A.std() > 0.05


def test_the_released_layout_has_411_tensors_and_the_sizes_of_the_recipe() -> None:
    assert len(authors_layout()) == 411
    with torch.device("meta"):
        theirs = {
            name: torch.empty(each.shape)
            for name, each in authors_layout(
                base=64, relation=512, encoder=100, activities=30
            ).items()
        }
    recipe = load_recipe("authors_vlog", num_activities=30).model
    sizes = settings_of(theirs)
    assert {name: getattr(recipe, name) for name in sizes} == sizes


def run(*arguments: str) -> Result:
    return CliRunner().invoke(orn, arguments)


@pytest.fixture
def options(tiny_world, tmp_path) -> list[str]:
    made = make_workspace(tiny_world, tmp_path)
    named = [each for name in ("--data", "--shards", "--clips") for each in (name, made[name])]
    return ["--dataset", made["manifest"], *named, "--set", "data.crop=[32, 48]"]


def test_an_imported_run_is_evaluated_as_any_other(options, tmp_path) -> None:
    theirs = authors_layout(**SMALL)
    file, out = write(tmp_path / "model_best.pth.tar", theirs), str(tmp_path / "run")
    made = run("import-checkpoint", str(file), out, *options, "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout) == {
        "run": out,
        "dataset": "tiny",
        "num_activities": 2,
        "backbone": "resnet18",
        "num_weights": len(theirs),
    }
    config = load_run_config(Path(out))
    assert (config.recipe_name, config.recipe.model.base_width) == ("authors_vlog", 2)
    assert config.weights_digest is not None
    assert load_checkpoint(Path(out) / "last.pt").state.is_finished(2)
    measured = run("eval", out, "--workers", "0", "--device", "cpu", "--json")
    assert measured.exit_code == 0, measured.stderr
    assert {"two_heads", "activity_head", "object_head"} <= json.loads(measured.stdout).keys()
    said = " ".join(measured.stderr.split())
    assert "was trained on objects of 'imported masks, format authors unknown', and is" in said
    assert "was trained on the validation split" in said
    assert open_model(Path(out), device="cpu").config.heads == "both"  # as `orn predict` takes it
    again = run("import-checkpoint", str(file), out, *options)
    assert again.exit_code == 2
    assert "expected a new or empty folder, got one with config.toml" in again.stderr


def test_the_released_masks_are_the_objects_that_it_was_trained_on() -> None:
    masks = _entry("authors", sizes={}, rates={})
    assert masks.title == job._DETECTOR


def changed(**more: Tensor | None) -> dict[str, Tensor]:
    """The small layout with weights put in, or left out where they are None."""
    weights = authors_layout(**SMALL) | {name.replace("__", "."): t for name, t in more.items()}
    return {name: each for name, each in weights.items() if each is not None}


REFUSED = {
    "first phase": (
        {"rnn_objects.weight_hh_l0": None, "fc_classifier_object.weight": torch.ones(2, 6)},
        "is of the first phase",
    ),
    "conv1 over time": (
        {"cnn.conv1_1t.weight": torch.ones(2, 2, 3, 1, 1)},
        "which no setting gives",
    ),
    "ResNet-34": (
        {"cnn.layer1.2.conv1.weight": torch.ones(2, 2, 3, 3)},
        "first cnn.layer1.2.conv1.weight",
    ),
    "two kernels over time": (
        {"cnn.layer4.0.conv1_1t.temp_conv_1.weight": torch.ones(16, 16, 3, 1, 1)},
        "first cnn.layer4.0.conv1_1t.temp_conv_1.weight",
    ),
    "a weight is missing": ({"cnn.layer2.0.bn1.bias": None}, "has no cnn.layer2.0.bn1.bias"),
    "a layer is missing": (
        {"ORN.mlp_inter.encoder.linear_0.weight": None},
        "has no ORN.mlp_inter.encoder.linear_0.weight of 1 axes",
    ),
    "another shape": ({"fc_classifier_context.weight": torch.ones(2, 7)}, "wanted shape (2, 16)"),
    "pairs of another size": (
        {"ORN.mlp_inter.encoder.linear_0.weight": torch.ones(6, 9)},
        "has pairs of (6, 9) weights",
    ),
    "not numbers": ({"cnn.bn1.bias": torch.full((2,), torch.nan)}, "wanted finite numbers"),
    "other activities": (
        {"fc_classifier_object.weight": torch.ones(5, 3)},
        "tells 5 activities apart, where tiny has 2",
    ),
    "a number": ({"COCO_Object_Class_from_Features.fc.weight": torch.ones(())}, "of 1 axes"),
    "no classes": (
        {"COCO_Object_Class_from_Features.fc.weight": torch.ones(1, 16)},
        "has sizes that no network has",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_setting_gives_is_refused_with_the_reason(case, options, tmp_path) -> None:
    weights, said = REFUSED[case]
    file = write(tmp_path / "x.pth.tar", changed(**weights))
    result = run("import-checkpoint", str(file), str(tmp_path / "run"), *options)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"arch": "resnet"}, "wanted the architecture orn_two_heads, found resnet"),
        ({"state_dict": {"weight": torch.ones(1)}}, "begin with module., found weight"),
        ({"state_dict": {}}, "found no tensors by name in its 'state_dict'"),
        ({"state_dict": [1]}, "found no tensors by name in its 'state_dict'"),
    ],
)
def test_another_file_is_refused(content, said, options, tmp_path) -> None:
    file = write(tmp_path / "x.pth.tar", authors_layout(**SMALL), **content)
    result = run("import-checkpoint", str(file), str(tmp_path / "run"), *options)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    absent = run("import-checkpoint", str(tmp_path / "no"), str(tmp_path / "run"), *options)
    assert absent.exit_code == 1
    assert len(absent.stderr.splitlines()) == 1


def test_sizes_that_small_weights_claim_take_no_memory(options, tmp_path, monkeypatch) -> None:
    """60,000 rows of the mask encoder's first layer ask for 14 GB in its second one."""
    devices = []

    def build(config: NetworkConfig) -> torch.nn.Module:
        devices.append(torch.empty(()).device.type)
        return build_network(config)

    monkeypatch.setattr(job, "build_network", build)
    claimed = {"Encoder_Binary_Mask.encoder.linear_0.weight": torch.ones(60_000, 1)}
    file = write(tmp_path / "x.pth.tar", changed(**claimed))
    code, said = _refusal(str(file), str(tmp_path / "run"), *options)
    assert (code, devices) == (1, ["meta"])
    assert len(said.splitlines()) == 1


def _refusal(*arguments: str) -> tuple[int, str]:
    result = run("import-checkpoint", *arguments)
    return result.exit_code, result.stderr


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_imported_or_refused(data, options, tmp_path) -> None:
    weights = authors_layout(**SMALL)
    shapes = st.lists(st.integers(0, 5), max_size=5).map(tuple)
    kinds = st.sampled_from([torch.float32, torch.int64, torch.float64, torch.bool])
    for name in data.draw(st.lists(st.sampled_from(sorted(weights)), max_size=3)):
        if data.draw(st.booleans()):
            weights[name] = torch.ones(data.draw(shapes), dtype=data.draw(kinds))
        else:
            weights.pop(name, None)
    file = write(tmp_path / "x.pth.tar", weights)
    with TemporaryDirectory(dir=tmp_path) as folder:
        code, said = _refusal(str(file), f"{folder}/run", *options)
    assert code in (0, 1, 2)
    assert code == 0 or len(said.splitlines()) == 1
