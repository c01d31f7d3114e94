"""Object vectors (eq. 7 and 8) against loops."""

import pytest
import torch

from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.object_head import ObjectEncoder, encode_cells
from tests.reference.object_relation import encode_object

ROUND_OFF = 1e-12  # float64


def test_equals_loops() -> None:
    torch.manual_seed(0)
    encoder = ObjectEncoder(NetworkConfig(num_activities=2, mask_size=3, mask_features=5)).double()
    masks_BTKhw = torch.rand(2, 1, 3, 3, 3, dtype=torch.float64)
    appearance_BTKD = torch.randn(2, 1, 3, 4, dtype=torch.float64)
    class_scores_BTKS = torch.rand(2, 1, 3, 6, dtype=torch.float64)
    valid_BTK = torch.ones(2, 1, 3, dtype=torch.bool)
    objects_BTKO = encoder(masks_BTKhw, appearance_BTKD, class_scores_BTKS, valid_BTK)
    for b in range(2):
        for k in range(3):
            expected_O = encode_object(
                encoder.state_dict(),
                masks_BTKhw[b, 0, k],
                appearance_BTKD[b, 0, k],
                class_scores_BTKS[b, 0, k],
            )
            torch.testing.assert_close(
                objects_BTKO[b, 0, k], expected_O, rtol=ROUND_OFF, atol=ROUND_OFF
            )


@pytest.mark.parametrize("parts", [("shape",), ("appearance",), ("class",), ("shape", "class")])
def test_parts_are_those_of_the_whole_vector(parts) -> None:
    torch.manual_seed(0)
    sizes = {"num_activities": 2, "mask_size": 3, "mask_features": 5}
    whole = ObjectEncoder(NetworkConfig(**sizes)).double()
    some = ObjectEncoder(NetworkConfig(**sizes, object_parts=parts)).double()
    some.load_state_dict(whole.state_dict() if "shape" in parts else {})
    inputs = (
        torch.rand(1, 2, 2, 3, 3).double(),
        torch.rand(1, 2, 2, 4).double(),
        torch.rand(1, 2, 2, 6).double(),
        torch.ones(1, 2, 2, dtype=torch.bool),
    )
    widths = {"shape": slice(0, 5), "appearance": slice(5, 9), "class": slice(9, 15)}
    expected = torch.cat([whole(*inputs)[..., widths[part]] for part in parts], dim=3)
    assert torch.equal(some(*inputs), expected)


def test_cells_carry_their_place() -> None:
    feats_BTDhw = torch.arange(12.0).view(1, 1, 2, 2, 3)
    cells_BTKO = encode_cells(feats_BTDhw)
    assert cells_BTKO.shape == (1, 1, 6, 4)
    third = 2 / 3
    assert cells_BTKO[0, 0].tolist() == [
        pytest.approx(row)
        for row in (
            [0, 6, -third, -0.5],
            [1, 7, 0, -0.5],
            [2, 8, third, -0.5],
            [3, 9, -third, 0.5],
            [4, 10, 0, 0.5],
            [5, 11, third, 0.5],
        )
    ]
