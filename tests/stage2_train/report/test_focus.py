"""What the activity head reads is what its logit loses when this is really taken away."""

from dataclasses import replace

import pytest
import torch

from orn.stage2_train.report.focus import focus_of
from tests.worlds.image_networks import NETWORK

NAMES = {0: "upper left", 4: "center", 8: "lower right"}


def logit_of(network, maps_TChw, seconds_T, label: int) -> float:
    logits_BA = network.activity_head(maps_TChw, len(maps_TChw), seconds_T[None])
    return float(logits_BA[0, label].detach())


@pytest.mark.parametrize("motion", [False, True])
def test_equals_removing_it(tiny_config, make_network, make_batch, motion) -> None:
    config = replace(
        tiny_config, backbone=NETWORK, motion=motion, aggregation="mean_deviation_trend"
    )
    network, batch = make_network(config), make_batch(frames=4)
    class_B = torch.tensor([1, 0])
    found = focus_of(network, batch, class_B)
    assert found is not None
    maps_BTChw = network.trunk_features(batch).unflatten(0, (2, 4))
    for clip, focus in enumerate(found):
        maps_TChw, seconds_T = maps_BTChw[clip], batch.seconds_BT[clip]
        label = int(class_B[clip])
        whole = logit_of(network, maps_TChw, seconds_T, label)
        of_frames = []
        for frame in range(4):
            left = [other for other in range(4) if other != frame]
            of_frames.append(whole - logit_of(network, maps_TChw[left], seconds_T[left], label))
        of_parts = []
        for part in range(9):
            changed_TChw = maps_TChw.clone()
            cells = [(y, x) for y in range(3) for x in range(4)]
            own = [(y, x) for y, x in cells if 3 * y + 3 * x // 4 == part]
            for time in range(4):
                others = [maps_TChw[time, :, y, x] for y, x in cells if (y, x) not in own]
                for y, x in own:
                    changed_TChw[time, :, y, x] = sum(others) / len(others)
            of_parts.append(whole - logit_of(network, changed_TChw, seconds_T, label))
        assert focus.of_frame == pytest.approx(max(of_frames), abs=1e-9)
        assert focus.frame == of_frames.index(max(of_frames))
        assert focus.of_part == pytest.approx(max(of_parts), abs=1e-9)
        assert focus.part == of_parts.index(max(of_parts))
        assert focus.part_name == NAMES.get(focus.part, focus.part_name)


def test_networks_on_pixels_single_frames_and_untrained_heads_have_none(
    tiny_config, make_network, make_batch
) -> None:
    assert focus_of(make_network(tiny_config), make_batch(), torch.tensor([0, 0])) is None
    config = replace(tiny_config, backbone=NETWORK, aggregation="mean_deviation_trend")
    for frames, heads in ((1, "both"), (4, "object")):
        batch = make_batch(frames=frames)
        assert focus_of(make_network(config), batch, torch.tensor([0, 0]), heads=heads) is None
