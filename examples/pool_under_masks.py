"""The mask pooling alone, in a network of one's own: what is each object made of?

    python examples/pool_under_masks.py

The features come from a ResNet of torchvision, the masks from anywhere: here they are drawn, a
cross and the four corners around it, each in one of five colours. Both have the same box, so that
boxes cannot keep apart what masks do: told by boxes, at most one of the two is more than a guess.

B clips, T frames of a clip, M = B * T frames folded, K objects of a frame, D channels, H W pixels,
h w cells of the feature map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from orn.stage2_train.model.mask_pool import pool_objects

SIDE, SQUARE = 64, 30
COLOURS = torch.tensor(
    [[0.9, 0.2, 0.2], [0.2, 0.8, 0.2], [0.2, 0.3, 0.9], [0.9, 0.8, 0.2], [0.8, 0.3, 0.8]]
)


class ClassifiesObjects(nn.Module):
    """Your network: any feature map, and anything after the features of objects."""

    def __init__(self) -> None:
        super().__init__()
        self.features = create_feature_extractor(resnet18(weights=None), {"layer1": "map"})
        self.classify = nn.Linear(64, len(COLOURS))

    def forward(self, frames_BT3HW: Tensor, masks_BTKHW: Tensor) -> Tensor:
        """(B, T, K, number of colours) logits.

        Args:
            frames_BT3HW: (B, T, 3, H, W) float.
            masks_BTKHW: (B, T, K, H, W) bool, one mask an object; one that is empty gets zeros in
                place of features, so that slots without an object may hold empty masks.
        """
        num_clips, num_frames = frames_BT3HW.shape[:2]
        feats_MDhw = self.features(frames_BT3HW.flatten(0, 1))["map"]
        feats_BTDhw = feats_MDhw.unflatten(0, (num_clips, num_frames))
        # The share of each cell that a mask covers: the mean of the mask over the cell.
        coverage_MKhw = functional.adaptive_avg_pool2d(
            masks_BTKHW.flatten(0, 1).float(), feats_MDhw.shape[2:]
        )
        coverage_BTKhw = coverage_MKhw.unflatten(0, (num_clips, num_frames))
        return self.classify(pool_objects(feats_BTDhw, coverage_BTKhw))


def draw_clips(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T, 3, H, W) frames, (B, T, K, H, W) bool masks of cross and corners, (B, T, K)
    colours; T and K are 2."""
    corner_BT2 = torch.randint(SIDE - SQUARE, (number, 2, 2), generator=generator)
    down_BTH = torch.arange(SIDE) - corner_BT2[..., :1]
    across_BTW = torch.arange(SIDE) - corner_BT2[..., 1:]
    inside_BTHW = (
        within(down_BTH, 0, SQUARE)[..., None] & within(across_BTW, 0, SQUARE)[..., None, :]
    )
    arm = (SQUARE // 3, 2 * SQUARE // 3)
    arms_BTHW = within(down_BTH, *arm)[..., None] | within(across_BTW, *arm)[..., None, :]
    masks_BT2HW = torch.stack([inside_BTHW & arms_BTHW, inside_BTHW & ~arms_BTHW], dim=2)
    colours_BT2 = torch.randint(len(COLOURS), (number, 2, 2), generator=generator)
    frames_BT3HW = torch.rand(number, 2, 3, SIDE, SIDE, generator=generator) * 0.2
    for place in range(2):
        paint_BT311 = COLOURS[colours_BT2[..., place]][..., None, None]
        frames_BT3HW = torch.where(masks_BT2HW[:, :, place, None], paint_BT311, frames_BT3HW)
    return frames_BT3HW, masks_BT2HW, colours_BT2


def within(values: Tensor, first: int, stop: int) -> Tensor:
    """Which values lie in [first, stop)."""
    return (values >= first) & (values < stop)


def boxes_of(masks_BTKHW: Tensor) -> Tensor:
    """(B, T, K, H, W) bool, the boxes around the masks as masks."""
    return spans(masks_BTKHW.any(dim=4))[..., None] & spans(masks_BTKHW.any(dim=3))[..., None, :]


def spans(is_there: Tensor) -> Tensor:
    """True from the first to the last true one along the last axis."""
    reached = is_there.cumsum(dim=-1) > 0
    return reached & (is_there.flip(-1).cumsum(dim=-1) > 0).flip(-1)


def trained_and_measured(*, boxes: bool, steps: int) -> float:
    """The share of objects of new clips that are told rightly; chance is a fifth."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = ClassifiesObjects()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)

    def logits_of(frames_BT3HW: Tensor, masks_BTKHW: Tensor) -> Tensor:
        return network(frames_BT3HW, boxes_of(masks_BTKHW) if boxes else masks_BTKHW)

    for _ in range(steps):
        *inputs, colours_BTK = draw_clips(16, generator)
        loss = functional.cross_entropy(logits_of(*inputs).flatten(0, 2), colours_BTK.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    *inputs, colours_BTK = draw_clips(64, generator)
    network.eval()
    with torch.inference_mode():
        return (logits_of(*inputs).argmax(dim=3) == colours_BTK).float().mean().item()


def main(steps: int = 40) -> dict[str, float]:
    """Trains with masks, then with boxes in their place."""
    found = {
        "masks": trained_and_measured(boxes=False, steps=steps),
        "boxes": trained_and_measured(boxes=True, steps=steps),
    }
    for name, right in found.items():
        print(f"pooled under {name}: {right:.1%} of the objects of new clips, chance is 20.0%")
    return found


if __name__ == "__main__":
    main()
