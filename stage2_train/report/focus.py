"""What the activity head reads for a prediction: the frame and the part of the frames without which
the logit of the class drops most.

B clips, T frames, C channels, A activity classes, V variants of a clip.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from orn.stage2_train.model.heads import MapActivityHead
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.report.importance import in_weights_precision
from orn.stage2_train.settings.model_config import Heads

_SIDE = 3
"""The frame is divided into 3 x 3 parts."""
_NAMES = (
    *("upper left", "upper middle", "upper right"),
    *("middle left", "center", "middle right"),
    *("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """What the activity head reads most for a class in a clip."""

    frame: int
    """The frame without which the logit drops most."""
    of_frame: float
    """The logit minus the logit without this frame."""
    part: int
    """The part of 3 x 3 parts of all frames, row by row, without which the logit drops most."""
    of_part: float
    """The logit minus the logit in which the cells of this part have the mean of the others."""

    @property
    def part_name(self) -> str:
        """Name of the part, such as `upper left`."""
        return _NAMES[self.part]


@in_weights_precision()
def focus_of(
    network: nn.Module, batch: ClipBatch, class_B: Tensor, *, heads: Heads | None = None
) -> list[Focus] | None:
    """Return what the activity head reads most in each clip of a batch.

    The head is computed again without each frame, and with each part of all maps replaced by the
    mean over the other cells. None for networks without a trained activity head on maps of at
    least 3 x 3 cells, and for clips of one frame.

    Args:
        network: network in evaluation mode.
        batch: B clips.
        class_B: (B,) int64, the explained class of each.
        heads: trained heads, as for `ObjectVideoNetwork.forward`; None for all.
    """
    head = network.activity_head if isinstance(network, ObjectVideoNetwork) else None
    if not isinstance(head, MapActivityHead) or heads == "object" or batch.num_frames < 2:
        return None
    assert isinstance(network, ObjectVideoNetwork)
    maps_BTChw = network.trunk_features(batch).unflatten(0, (len(batch), batch.num_frames))
    if min(maps_BTChw.shape[3:]) < _SIDE:
        return None

    def logit_B(clips_BtChw: Tensor, seconds_Bt: Tensor) -> Tensor:
        logits_BA: Tensor = head(clips_BtChw.flatten(0, 1), clips_BtChw.shape[1], seconds_Bt)
        return logits_BA.gather(1, class_B[:, None])[:, 0]

    seconds_BT = batch.seconds_BT
    whole_B = logit_B(maps_BTChw, seconds_BT)
    frames = torch.arange(batch.num_frames)
    without_frame_BT = torch.stack(
        [
            logit_B(maps_BTChw[:, frames != frame], seconds_BT[:, frames != frame])
            for frame in frames.tolist()
        ],
        dim=1,
    )
    height, width = maps_BTChw.shape[3:]
    row_h, column_w = (torch.arange(size) * _SIDE // size for size in (height, width))
    part_hw = (_SIDE * row_h[:, None] + column_w).to(maps_BTChw.device)
    without_part_BP = torch.stack(
        [
            logit_B(_without(maps_BTChw, part_hw == part), seconds_BT)
            for part in range(_SIDE * _SIDE)
        ],
        dim=1,
    )
    of_frame_BT, of_part_BP = (
        (whole_B[:, None] - without).cpu() for without in (without_frame_BT, without_part_BP)
    )
    return [
        Focus(
            frame=int(of_frame_T.argmax()),
            of_frame=float(of_frame_T.max()),
            part=int(of_part_P.argmax()),
            of_part=float(of_part_P.max()),
        )
        for of_frame_T, of_part_P in zip(of_frame_BT, of_part_BP, strict=True)
    ]


def _without(maps_BTChw: Tensor, part_hw: Tensor) -> Tensor:
    """Return maps in which the cells of a part have the mean of the other cells."""
    mean_BTC1 = maps_BTChw[..., ~part_hw].mean(dim=-1, keepdim=True)
    return torch.where(part_hw, mean_BTC1[..., None], maps_BTChw)
