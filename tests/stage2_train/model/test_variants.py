"""Every system made of the paper's network against its loop version: logits and gradients."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from stage2_train.model.heads import MeanClassifier, SummedMlpClassifier
from stage2_train.model.inputs import NetworkInputs, NetworkOutput
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.model.object_head import encode_cells
from stage2_train.systems import find_system, system_names
from tests.reference.object_cliques import cell_objects
from tests.reference.object_relation import classify_mean, classify_steps
from tests.reference.object_video_network import clip_logits

ROUND_OFF = 1e-10  # float64, relative to the largest number of a tensor

SYSTEMS = [
    name
    for name in system_names()
    if find_system(name).settings.get("architecture", "object_video") == "object_video"
]


@pytest.fixture
def make_system(tiny_config, make_network):
    """A function giving the tiny network of a system."""

    def make(name: str) -> ObjectVideoNetwork:
        chosen = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in find_system(name).settings.items()
        }
        return make_network(replace(tiny_config, **chosen))

    return make


def _assert_close(found: Tensor, expected: Tensor, name: str = "") -> None:
    scale = float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        found,
        expected,
        rtol=ROUND_OFF,
        atol=ROUND_OFF * max(scale, 1.0),
        msg=lambda m: f"{name} {m}",
    )


def _parts(output: NetworkOutput, valid_BTK: Tensor) -> list[Tensor | None]:
    classes = output.class_logits_BTKS
    return [
        output.activity_logits_BA,
        output.object_logits_BA,
        None if classes is None else classes[valid_BTK],
    ]


def _slow_parts(network: ObjectVideoNetwork, batch: NetworkInputs) -> list[Tensor | None]:
    weights = network.state_dict() | dict(network.named_parameters())
    clips = [
        clip_logits(network.config, weights, batch, clip=clip)
        for clip in range(len(batch.valid_BTK))
    ]
    activity, objects, classes = zip(*clips, strict=True)
    return [
        None if activity[0] is None else torch.stack(activity),
        None if objects[0] is None else torch.stack(objects),
        None if classes[0] is None else torch.stack(classes)[batch.valid_BTK],
    ]


def _gradients(network: ObjectVideoNetwork, parts: list[Tensor | None]) -> list[Tensor]:
    loss = sum(part.pow(2).sum() for part in parts if part is not None)
    return list(torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True))


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_equals_loops_with_gradients(name, make_system, make_batch) -> None:
    network, batch = make_system(name), make_batch(clips=1, slots=2)
    fast, slow = _parts(network(batch), batch.valid_BTK), _slow_parts(network, batch)
    assert any(part is not None for part in fast)
    for found, expected in zip(fast, slow, strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            _assert_close(found, expected)
    weights = [key for key, _ in network.named_parameters()]
    for key, found, expected in zip(
        weights, _gradients(network, fast), _gradients(network, slow), strict=True
    ):
        _assert_close(found, expected, key)


RELATING = [
    "orn",
    "orn-pixel",
    "orn-mlp",
    "coco-visual",
    "coco-shape",
    "coco-intra",
    "clique-1",
    "clique-3",
]


@pytest.mark.parametrize("name", RELATING)
@pytest.mark.parametrize("frames", [1, 2])
def test_short_clips_equal_loops(name, frames, make_system, make_batch) -> None:
    network, batch = make_system(name), make_batch(clips=1, frames=frames, slots=2)
    for found, expected in zip(
        _parts(network(batch), batch.valid_BTK), _slow_parts(network, batch), strict=True
    ):
        if found is not None:
            _assert_close(found, expected)


@pytest.mark.parametrize("name", RELATING)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("slots", [0, 2])
def test_batches_without_any_object_are_finite(
    name, training, slots, make_system, make_batch
) -> None:
    network, batch = make_system(name).train(training), make_batch(slots=slots)
    batch = replace(batch, valid_BTK=torch.zeros_like(batch.valid_BTK))
    output = network(batch, generator=torch.Generator().manual_seed(0))
    assert output.logits_BA.isfinite().all()
    for gradient in _gradients(network, _parts(output, batch.valid_BTK)):
        assert gradient.isfinite().all()


def _with_objects(batch: NetworkInputs, order: list[int]) -> NetworkInputs:
    """The batch with these slots, in this order."""
    names = [field.name for field in fields(batch) if "K" in field.name.partition("_")[2]]
    return replace(batch, **{name: getattr(batch, name)[:, :, order] for name in names})


@pytest.mark.parametrize("name", RELATING)
@pytest.mark.parametrize("training", [False, True])
def test_padding_and_order_change_no_value_or_gradient(
    name, training, make_system, make_batch
) -> None:
    batch = make_batch(slots=3)
    other = _with_objects(batch, [2, 0, 1, 0])
    valid_BTK = other.valid_BTK.clone()
    valid_BTK[:, :, 3] = False
    results = []
    for inputs in (batch, replace(other, valid_BTK=valid_BTK)):
        network = make_system(name).train(training)
        output = network(inputs, generator=torch.Generator().manual_seed(0))
        results.append([output.logits_BA, *_gradients(network, [output.logits_BA])])
    for found, expected in zip(*results, strict=True):
        _assert_close(found, expected)


@pytest.mark.parametrize("name", ["orn", "orn-mlp", "coco-visual", "coco-shape", "clique-3"])
def test_an_object_of_the_earlier_frame_alone_changes_the_output(
    name, make_system, make_batch
) -> None:
    network, batch = make_system(name), make_batch(clips=1, frames=2)
    masks_BTKhw, coverage_BTKhw = batch.masks_BTKhw.clone(), batch.coverage_BTKhw.clone()
    masks_BTKhw[0, 0, 0] = 1 - masks_BTKhw[0, 0, 0]
    coverage_BTKhw[0, 0, 0] = 1 - coverage_BTKhw[0, 0, 0]
    changed = replace(batch, masks_BTKhw=masks_BTKhw, coverage_BTKhw=coverage_BTKhw)
    before, after = network(batch).object_logits_BA, network(changed).object_logits_BA
    assert (before - after).abs().max() > 1e-6


class _GivenFeatures(torch.nn.Module):
    def forward(self, feats_MDhw: Tensor, num_frames: int) -> Tensor:
        return feats_MDhw


@pytest.mark.parametrize("name", ["orn", "orn-pixel", "orn-mlp", "coco-intra", "clique-3"])
def test_gradcheck_of_the_object_head(name, make_system, make_batch) -> None:
    head, batch = make_system(name).object_head, make_batch(clips=1, frames=2, slots=2)
    head.conv5 = _GivenFeatures()
    batch = replace(batch, coverage_BTKhw=batch.coverage_BTKhw[..., :1, :2] + 0.1)
    feats_MDhw = torch.randn(2, head.config.feature_width, 1, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda feats_MDhw: head(feats_MDhw, batch)[0], feats_MDhw.requires_grad_()
    )


def test_cells_equal_loops() -> None:
    feats_BTDhw = torch.randn(2, 3, 4, 3, 5, dtype=torch.float64)
    cells_BTKO = encode_cells(feats_BTDhw)
    for b in range(2):
        for t in range(3):
            _assert_close(cells_BTKO[b, t], torch.stack(cell_objects(feats_BTDhw[b, t])))


@pytest.mark.parametrize("num_steps", [0, 1, 4])
def test_mlp_of_steps_equals_loops(num_steps) -> None:
    torch.manual_seed(0)
    head = SummedMlpClassifier(5, 3, 4).double()
    feats_BTD = torch.randn(2, num_steps, 5, dtype=torch.float64)
    weights = head.state_dict()
    expected = torch.stack([classify_steps(weights, list(clip)) for clip in feats_BTD])
    _assert_close(head(feats_BTD), expected)


@pytest.mark.parametrize("num_steps", [1, 4])
def test_mean_of_steps_equals_loops(num_steps) -> None:
    torch.manual_seed(0)
    head = MeanClassifier(5, 4).double()
    feats_BTD = torch.randn(2, num_steps, 5, dtype=torch.float64)
    weights = head.state_dict()
    expected = torch.stack([classify_mean(weights, list(clip)) for clip in feats_BTD])
    _assert_close(head(feats_BTD), expected)
