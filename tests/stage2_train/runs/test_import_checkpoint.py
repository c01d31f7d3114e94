"""The network that the authors released as a run: against a plain forward pass by their names."""

import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from orn.stage2_train.model.authors_weights import settings_of, weights_of
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.runs import import_checkpoint as job
from orn.stage2_train.runs.checkpoint import load_last
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.trained import open_model
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import load_recipe
from tests.reference.authors_network import authors_layout, authors_logits
from tests.running import Ran, run_orn
from tests.shared.test_torch_files import Call

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


def with_empty_slots(batch: NetworkInputs, labels_TK: Tensor) -> tuple[NetworkInputs, Tensor]:
    """The clip with one, two and no objects in its frames, and theirs with as many slots as the
    fullest frame has objects."""
    valid_TK = torch.zeros(3, 4, dtype=torch.bool)
    valid_TK[0, 2] = valid_TK[1, 1] = valid_TK[1, 3] = True
    masks_BTKhw = batch.masks_BTKhw * valid_TK[None, ..., None, None]
    labels_T2 = torch.stack(
        [
            torch.cat([row[own], -torch.ones(2).long()])[:2]
            for row, own in zip(labels_TK, valid_TK, strict=True)
        ]
    )
    return replace(batch, masks_BTKhw=masks_BTKhw, valid_BTK=valid_TK[None]), labels_T2


@pytest.mark.parametrize("is_uneven", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_an_imported_network_gives_the_logits_of_theirs(name, is_uneven) -> None:
    theirs = authors_layout(**LAYOUTS[name])
    batch, labels_TK = clip(torch.Generator().manual_seed(1), num_classes=81)
    masks_TKyx = batch.masks_BTKhw[0]
    if is_uneven:
        batch, labels_TK = with_empty_slots(batch, labels_TK)
        masks_TKyx = torch.stack(
            [
                torch.cat([masks_Kyx[own], torch.zeros(2, 28, 28)])[:2]
                for masks_Kyx, own in zip(batch.masks_BTKhw[0], batch.valid_BTK[0], strict=True)
            ]
        )
    wide = {key: each.double() for key, each in theirs.items()}
    expected_A, expected_TKS = authors_logits(wide, batch.frames_BTCHW[0], masks_TKyx, labels_TK)
    output = imported(theirs)(batch)
    # Frames are normalized by constants that are rounded to float32 here and are not there.
    torch.testing.assert_close(output.logits_BA[0], expected_A, rtol=1e-5, atol=1e-5)
    found_NS = output.class_logits_BTKS[batch.valid_BTK].roll(1, dims=1)
    torch.testing.assert_close(found_NS, expected_TKS[labels_TK >= 0], rtol=1e-5, atol=1e-5)
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


@pytest.fixture
def options(workspace) -> list[str]:
    places = [
        each for name in ("--data", "--shards", "--clips") for each in (name, workspace[name])
    ]
    return ["--dataset", workspace["manifest"], *places, "--set", "data.crop=[32, 48]"]


def import_it(*arguments: object, exit_code: int | None = 0) -> Ran:
    ran = run_orn("import-checkpoint", *arguments, exit_code=exit_code)
    assert not ran.exit_code or len(ran.stderr.splitlines()) == 1
    return ran


def test_an_imported_run_is_evaluated_as_any_other(options, tmp_path) -> None:
    theirs = authors_layout(**SMALL)
    file, out = write(tmp_path / "model_best.pth.tar", theirs), tmp_path / "run"
    report = import_it(file, out, *options, "--json").json
    assert (report["num_activities"], report["num_weights"]) == (2, len(theirs))
    config = read_config(out)
    assert (config.recipe_name, config.recipe.model.base_width) == ("authors_vlog", 2)
    assert config.weights_digest is not None
    assert load_last(out, repair=False).state.is_finished(2)
    measured = run_orn("eval", out, "--workers", "0", "--device", "cpu", "--json")
    assert {"two_heads", "activity_head", "object_head"} <= measured.json.keys()
    said = " ".join(measured.stderr.split())
    assert "imported objects, format authors" in said
    assert "trained on the validation split" in said
    assert open_model(out, device="cpu").heads == "both"  # as `orn predict` takes it
    said = import_it(file, out, *options, exit_code=2).stderr
    assert f"{out}: expected a new or empty folder, got a folder that contains config.json" in said


def changed(**more: Tensor | None) -> dict[str, Tensor]:
    """The small layout with weights put in, or left out where they are None."""
    weights = authors_layout(**SMALL) | {name.replace("__", "."): t for name, t in more.items()}
    return {name: each for name, each in weights.items() if each is not None}


REFUSED = {
    "first phase": (
        {"rnn_objects.weight_hh_l0": None, "fc_classifier_object.weight": torch.ones(2, 6)},
        "first phase",
    ),
    "conv1 over time": ({"cnn.conv1_1t.weight": torch.ones(2, 2, 3, 1, 1)}, "setting"),
    "a weight is missing": ({"cnn.layer2.0.bn1.bias": None}, "cnn.layer2.0.bn1.bias"),
    "not numbers": ({"cnn.bn1.bias": torch.full((2,), torch.nan)}, "finite"),
}
OTHERS = {
    "resnet": {"arch": "resnet"},
    "module.": {"state_dict": {"weight": torch.ones(1)}},
    "'state_dict'": {"state_dict": [1]},
}


@pytest.mark.parametrize(
    ("weights", "content", "said"),
    [
        *(pytest.param(weights, {}, said, id=case) for case, (weights, said) in REFUSED.items()),
        *(pytest.param({}, content, said, id=said) for said, content in OTHERS.items()),
    ],
)
def test_what_no_setting_gives_is_refused_with_the_reason(
    weights, content, said, options, tmp_path
) -> None:
    file = write(tmp_path / "x.pth.tar", changed(**weights), **content)
    assert said in import_it(file, tmp_path / "run", *options, exit_code=1).stderr
    assert not (tmp_path / "run").exists()


def test_sizes_that_small_weights_claim_take_no_memory(options, tmp_path, monkeypatch) -> None:
    """60,000 rows of the mask encoder's first layer ask for 14 GB in its second one."""
    monkeypatch.setattr(job, "build_network", None)
    claimed = {"Encoder_Binary_Mask.encoder.linear_0.weight": torch.ones(60_000, 1)}
    file = write(tmp_path / "x.pth.tar", changed(**claimed))
    import_it(file, tmp_path / "run", *options, exit_code=1)


def test_code_in_a_checkpoint_is_not_run(options, tmp_path) -> None:
    ran = tmp_path / "ran"
    file = write(tmp_path / "x.pth.tar", changed(), code=Call(os.mkdir, str(ran)))
    said = import_it(file, tmp_path / "run", *options, exit_code=1).stderr
    assert "x.pth.tar: " in said and "mkdir" in said
    assert not ran.exists()
