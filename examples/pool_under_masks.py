"""Use mask pooling in your own network to classify the color of objects.

    python examples/pool_under_masks.py

The features come from a torchvision ResNet. The masks are synthetic: a cross and the four corners
around it, each in one of five colors. Both objects have the same box, so pooling over boxes can
classify only one of them better than chance.

Axes: B clips, T frames per clip, M = B * T frames, K objects per frame, D channels, H W pixels,
h w cells of the feature map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from orn.stage2_train.model.mask_pool import pool_objects

SIDE, SQUARE = 64, 30
COLORS = torch.tensor(
    [[0.9, 0.2, 0.2], [0.2, 0.8, 0.2], [0.2, 0.3, 0.9], [0.9, 0.8, 0.2], [0.8, 0.3, 0.8]]
)


class ObjectClassifier(nn.Module):
    """Example network; any layers can be used before and after mask pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.features = create_feature_extractor(resnet18(weights=None), {"layer1": "map"})
        self.classify = nn.Linear(64, len(COLORS))

    def forward(self, frames_BT3HW: Tensor, masks_BTKHW: Tensor) -> Tensor:
        """Return (B, T, K, number of colors) logits.

        Args:
            frames_BT3HW: (B, T, 3, H, W) float.
            masks_BTKHW: (B, T, K, H, W) bool, one mask per object. The features of an empty mask
                are zeros, so padded slots can have empty masks.
        """
        num_clips, num_frames = frames_BT3HW.shape[:2]
        feats_MDhw = self.features(frames_BT3HW.flatten(0, 1))["map"]
        feats_BTDhw = feats_MDhw.unflatten(0, (num_clips, num_frames))
        # The fraction of each cell that a mask covers.
        coverage_MKhw = functional.adaptive_avg_pool2d(
            masks_BTKHW.flatten(0, 1).float(), feats_MDhw.shape[2:]
        )
        coverage_BTKhw = coverage_MKhw.unflatten(0, (num_clips, num_frames))
        return self.classify(pool_objects(feats_BTDhw, coverage_BTKhw))


def draw_clips(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return (B, T, 3, H, W) frames, (B, T, K, H, W) bool masks of the cross and the corners, and
    (B, T, K) color indices; T and K are 2."""
    corner_BT2 = torch.randint(SIDE - SQUARE, (number, 2, 2), generator=generator)
    down_BTH = torch.arange(SIDE) - corner_BT2[..., :1]
    across_BTW = torch.arange(SIDE) - corner_BT2[..., 1:]
    inside_BTHW = (
        within(down_BTH, 0, SQUARE)[..., None] & within(across_BTW, 0, SQUARE)[..., None, :]
    )
    arm = (SQUARE // 3, 2 * SQUARE // 3)
    arms_BTHW = within(down_BTH, *arm)[..., None] | within(across_BTW, *arm)[..., None, :]
    masks_BT2HW = torch.stack([inside_BTHW & arms_BTHW, inside_BTHW & ~arms_BTHW], dim=2)
    colors_BT2 = torch.randint(len(COLORS), (number, 2, 2), generator=generator)
    frames_BT3HW = torch.rand(number, 2, 3, SIDE, SIDE, generator=generator) * 0.2
    for place in range(2):
        paint_BT311 = COLORS[colors_BT2[..., place]][..., None, None]
        frames_BT3HW = torch.where(masks_BT2HW[:, :, place, None], paint_BT311, frames_BT3HW)
    return frames_BT3HW, masks_BT2HW, colors_BT2


def within(values: Tensor, first: int, stop: int) -> Tensor:
    """Return the mask of values in [first, stop)."""
    return (values >= first) & (values < stop)


def boxes_of(masks_BTKHW: Tensor) -> Tensor:
    """Return the filled bounding boxes of (B, T, K, H, W) masks, as masks."""
    return spans(masks_BTKHW.any(dim=4))[..., None] & spans(masks_BTKHW.any(dim=3))[..., None, :]


def spans(is_there: Tensor) -> Tensor:
    """Return a mask that is True from the first to the last True along the last axis."""
    reached = is_there.cumsum(dim=-1) > 0
    return reached & (is_there.flip(-1).cumsum(dim=-1) > 0).flip(-1)


def train_and_evaluate(*, boxes: bool, steps: int) -> float:
    """Train the network and return its accuracy on new clips; chance is 20 %."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = ObjectClassifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)

    def logits_of(frames_BT3HW: Tensor, masks_BTKHW: Tensor) -> Tensor:
        return network(frames_BT3HW, boxes_of(masks_BTKHW) if boxes else masks_BTKHW)

    for _ in range(steps):
        *inputs, colors_BTK = draw_clips(16, generator)
        loss = functional.cross_entropy(logits_of(*inputs).flatten(0, 2), colors_BTK.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    *inputs, colors_BTK = draw_clips(64, generator)
    network.eval()
    with torch.inference_mode():
        return (logits_of(*inputs).argmax(dim=3) == colors_BTK).float().mean().item()


def main(steps: int = 40) -> dict[str, float]:
    """Train with masks, then with boxes, and print and return both accuracies."""
    accuracies = {
        "masks": train_and_evaluate(boxes=False, steps=steps),
        "boxes": train_and_evaluate(boxes=True, steps=steps),
    }
    for name, accuracy in accuracies.items():
        print(f"pooling over {name}: accuracy {accuracy:.1%} on new clips, chance 20.0%")
    return accuracies


if __name__ == "__main__":
    main()
