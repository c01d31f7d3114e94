"""The network of the recipe `authors_vlog` against a plain forward pass of the authors' network."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.settings.recipe import load_recipe
from tests.reference.authors_network import authors_layout, authors_logits
from tests.reference.authors_weights import settings_of, weights_of

LAYOUTS = {
    "as-released": {"base": 2},
    "resnet18": {"depth": 18, "base": 4},
    "2.5d": {"depth": 18, "base": 4, "kernels": ("2.5d", "2d", "2.5d", "2.5d", "2d")},
    "3d": {"base": 2, "kernels": ("2d", "3d", "2d", "3d", "2d")},
}


def clip(generator: torch.Generator, num_classes: int) -> tuple[ClipBatch, Tensor]:
    """One clip, every slot an object, and its classes as theirs count them."""
    labels_TK = torch.randint(0, num_classes, (3, 4), generator=generator)
    scores_TKS = 0.3 * torch.rand(3, 4, num_classes, generator=generator, dtype=torch.float64)
    ours_TK = (labels_TK - 1) % num_classes  # the background is the last
    scores_TKS[..., :-1] *= (ours_TK < num_classes - 1)[..., None]
    scores_TKS.scatter_(2, ours_TK[..., None], 0.7)
    masks_TKyx = (torch.rand(3, 4, 28, 28, generator=generator) < 0.4).double()
    batch = ClipBatch(
        ids=("clip",),
        crop=(64, 96),
        boxes_BTK4=torch.zeros(1, 3, 4, 4),
        seconds_BT=torch.arange(3.0)[None],
        detector_labels_BTK=labels_TK[None],
        labels=torch.zeros(1, dtype=torch.int64),
        frames_BTCHW=torch.randint(
            0, 256, (1, 3, 3, 64, 96), generator=generator, dtype=torch.uint8
        ),
        masks_BTKhw=masks_TKyx[None],
        coverage_BTKhw=torch.rand(1, 3, 4, 4, 6, generator=generator, dtype=torch.float64),
        class_scores_BTKS=scores_TKS[None],
        valid_BTK=torch.ones(1, 3, 4, dtype=torch.bool),
    )
    return batch, labels_TK


def converted(theirs: dict[str, Tensor]) -> torch.nn.Module:
    sizes = settings_of(theirs)
    recipe = load_recipe("authors_vlog", num_activities=sizes["num_activities"]).model
    network = build_network(replace(recipe, **sizes))
    network.object_head.first_phase = None  # their file does not contain it
    network.load_state_dict(weights_of(theirs, network.state_dict()))
    return network.double().eval()


def with_empty_slots(batch: ClipBatch, labels_TK: Tensor) -> tuple[ClipBatch, Tensor, Tensor]:
    """The clip with one, two and no objects in its frames; and their masks and labels, with as many
    slots as the fullest frame has objects."""
    valid_TK = torch.zeros(3, 4, dtype=torch.bool)
    valid_TK[0, 2] = valid_TK[1, 1] = valid_TK[1, 3] = True
    masks_BTKhw = batch.masks_BTKhw * valid_TK[None, ..., None, None]

    def filled(slots_TK: Tensor, empty_2: Tensor) -> Tensor:
        of_frames = (row[own] for row, own in zip(slots_TK, valid_TK, strict=True))
        return torch.stack([torch.cat([row, empty_2])[:2] for row in of_frames])

    masks_T2yx = filled(masks_BTKhw[0], torch.zeros(2, 28, 28))
    labels_T2 = filled(labels_TK, torch.full((2,), -1))
    batch = replace(batch, masks_BTKhw=masks_BTKhw, valid_BTK=valid_TK[None])
    return batch, masks_T2yx, labels_T2


@pytest.mark.parametrize("is_uneven", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_their_weights_give_their_logits(name, is_uneven) -> None:
    theirs = authors_layout(**LAYOUTS[name])
    batch, labels_TK = clip(torch.Generator().manual_seed(1), num_classes=81)
    masks_TKyx = batch.masks_BTKhw[0]
    if is_uneven:
        batch, masks_TKyx, labels_TK = with_empty_slots(batch, labels_TK)
    wide = {key: tensor.double() for key, tensor in theirs.items()}
    expected_A, expected_TKS = authors_logits(wide, batch.frames_BTCHW[0], masks_TKyx, labels_TK)
    output = converted(theirs)(batch)
    # Frames are normalized by constants that are rounded to float32 here and are not there.
    torch.testing.assert_close(output.logits_BA[0], expected_A, rtol=1e-5, atol=1e-5)
    class_logits_NS = output.class_logits_BTKS[batch.valid_BTK].roll(1, dims=1)
    torch.testing.assert_close(class_logits_NS, expected_TKS[labels_TK >= 0], rtol=1e-5, atol=1e-5)
    assert expected_A.std() > 0.05
