"""The examples run, and say what they are there to say."""

import runpy
from typing import Any

import pytest
import torch

from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_relations_alone() -> None:
    names = example("relate_objects")
    objects_BTKO, valid_BTK, taken_B = names["draw_clips"](50, torch.Generator().manual_seed(0))
    rows = torch.arange(50)
    assert torch.equal(objects_BTKO[:, 1, 0, -2:], objects_BTKO[rows, 0, taken_B, -2:])
    assert valid_BTK[rows, 0, taken_B].all()
    network = names["TakesWhosePlace"]().eval()
    other_BTKO = torch.where(valid_BTK[..., None], objects_BTKO, torch.nan)  # is never read
    assert torch.equal(network(other_BTKO, valid_BTK), network(objects_BTKO, valid_BTK))


def test_pooling_alone() -> None:
    names = example("pool_under_masks")
    frames_BT3HW, masks_BTKHW, colours_BTK = names["draw_clips"](
        3, torch.Generator().manual_seed(0)
    )
    for clip, frame, thing in torch.cartesian_prod(*[torch.arange(n) for n in (3, 2, 2)]).tolist():
        seen_3P = frames_BT3HW[clip, frame][:, masks_BTKHW[clip, frame, thing]]
        assert (seen_3P == names["COLOURS"][colours_BTK[clip, frame, thing]][:, None]).all()
    boxes_BTKHW = names["boxes_of"](masks_BTKHW)
    assert torch.equal(boxes_BTKHW[:, :, 0], boxes_BTKHW[:, :, 1])
    assert boxes_BTKHW.sum(dim=(3, 4)).unique().tolist() == [30 * 30]
    masks_BTKHW[0, 0, 1] = False  # an empty slot
    assert names["ClassifiesObjects"]()(frames_BT3HW, masks_BTKHW).isfinite().all()


@pytest.mark.slow
def test_examples_say_what_they_say() -> None:
    assert example("relate_objects")["main"]() > 0.95
    found = example("pool_under_masks")["main"]()
    assert found["masks"] > 0.9
    assert found["boxes"] < 0.7  # 60 % is the most that chance and one colour of two give


def test_examples_run_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    example("relate_objects")["main"](steps=2)
    example("pool_under_masks")["main"](steps=1)
    assert "of 2000 new clips" in capsys.readouterr().out
