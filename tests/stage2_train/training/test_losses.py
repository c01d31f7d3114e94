"""The losses (eq. 12) against loops."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orn.stage2_train.model.inputs import NetworkOutput
from orn.stage2_train.settings.recipe import LossRecipe
from orn.stage2_train.training.step import activity_loss, object_class_loss, total_loss
from tests.reference import losses as reference

ROUND_OFF = 1e-12  # float64


def _objects():
    generator = torch.Generator().manual_seed(0)
    logits_BTKS = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    labels_BTK = torch.randint(0, 5, (2, 3, 4), generator=generator)
    valid_BTK = torch.rand(2, 3, 4, generator=generator) < 0.5
    return logits_BTKS.requires_grad_(), labels_BTK, valid_BTK


UNSURE = torch.tensor([[1.0, -1.0, 0.0, 0.0], [-1.0] * 4, [0.0, 1.0, 1.0, -1.0]]).double()


@pytest.mark.parametrize(
    "labels", [torch.tensor([2, 0, 1]), torch.rand(3, 4).round().double(), UNSURE]
)
def test_activity_loss_equals_loops(labels) -> None:
    logits_BA = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double()
    expected = reference.activity_loss(logits_BA, labels)
    assert activity_loss(logits_BA, labels).item() == pytest.approx(expected, rel=ROUND_OFF)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_object_class_loss_equals_loops(reduction) -> None:
    logits_BTKS, labels_BTK, valid_BTK = _objects()
    nothing = torch.zeros_like(valid_BTK)
    loss = object_class_loss(logits_BTKS, labels_BTK, valid_BTK=nothing, reduction=reduction)
    loss.backward()
    assert loss.item() == 0
    assert not logits_BTKS.grad.any()
    actual = object_class_loss(logits_BTKS, labels_BTK, valid_BTK=valid_BTK, reduction=reduction)
    expected = reference.object_class_loss(logits_BTKS, labels_BTK, valid_BTK, reduction)
    assert actual.item() == pytest.approx(expected, rel=ROUND_OFF)


def test_invalid_slots_are_never_read() -> None:
    logits_BTKS, labels_BTK, valid_BTK = _objects()
    expected = object_class_loss(logits_BTKS, labels_BTK, valid_BTK=valid_BTK)
    spoilt_BTKS = logits_BTKS.detach().where(valid_BTK[..., None], torch.nan).requires_grad_()
    loss = object_class_loss(spoilt_BTKS, labels_BTK.where(valid_BTK, -100), valid_BTK=valid_BTK)
    assert torch.equal(loss, expected)
    loss.backward()
    assert not spoilt_BTKS.grad[~valid_BTK].any()


@pytest.mark.parametrize("weights", [(1.0, 1.0, 0.0), (15.0, 1.0, 0.0), (1.0, 0.5, 0.7)])
@pytest.mark.parametrize("labels", [torch.tensor([1, 2]), torch.tensor([[0.0, 1, 1], [1, 0, 0]])])
def test_weights_equal_loops(weights, labels) -> None:
    logits_BTKS, labels_BTK, valid_BTK = _objects()
    generator = torch.Generator().manual_seed(1)
    heads = [torch.randn(2, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
    labels = labels.double() if labels.ndim == 2 else labels
    output = NetworkOutput(
        activity_logits_BA=heads[0], object_logits_BA=heads[1], class_logits_BTKS=logits_BTKS
    )
    batch: Any = SimpleNamespace(labels=labels, detector_labels_BTK=labels_BTK, valid_BTK=valid_BTK)
    names = ("activity_loss_weight", "object_loss_weight", "each_head_loss_weight")
    recipe = LossRecipe(**dict(zip(names, weights, strict=True)))
    class_loss = reference.object_class_loss(logits_BTKS, labels_BTK, valid_BTK, "mean")
    expected = reference.weighted_loss(*heads, labels, class_loss=class_loss, weights=weights)
    total = total_loss(output, batch, recipe)["loss"].item()
    assert total == pytest.approx(expected, rel=ROUND_OFF)


@pytest.mark.parametrize(
    ("activity", "each_head", "expected"), [(0, 1, 1), (1, 0.5, 1), (15, 0, 15)]
)
def test_a_single_head_has_the_larger_weight(activity, each_head, expected) -> None:
    output = NetworkOutput(activity_logits_BA=torch.zeros(2, 3))
    batch: Any = SimpleNamespace(labels=torch.tensor([0, 1]))
    recipe = LossRecipe(activity_loss_weight=activity, each_head_loss_weight=each_head)
    losses = total_loss(output, batch, recipe)
    assert losses["loss"].item() == pytest.approx(expected * math.log(3))
    assert losses.get("each_head_loss") == (0 if each_head > 0 else None)
