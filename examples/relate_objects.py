"""Use the mask encoder, the relation module and a recurrent classifier in your own network, to
predict whose place an object takes.

    python examples/relate_objects.py

The objects are random; each has a class, and a mask of one cell. In the second frame, object 0
takes the place that another object had in the first frame; the label is the index of that object.
The label depends on a pair of objects from two frames, not on a single frame or object.

Axes: B clips, T frames per clip, K slots per frame, O features per object, G features per relation,
y x cells of a mask.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.heads import RecurrentClassifier
from orn.stage2_train.model.object_vectors import encoder_mlp
from orn.stage2_train.model.relation import ObjectRelation, initialize_layers
from orn.stage2_train.model.relation_frames import all_earlier_frames, sampled_earlier_frames

KINDS, SIDE = 4, 4


class PlaceClassifier(nn.Module):
    """Example network; each of its modules can also be used alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encode_mask = encoder_mlp(SIDE * SIDE, 32)
        initialize_layers(self.encode_mask, "he")
        self.relation = ObjectRelation(32 + KINDS, 64, initialization="he")
        self.classify = RecurrentClassifier(64, 64, KINDS)

    def forward(self, masks_BTKyx: Tensor, kinds_BTKS: Tensor, valid_BTK: Tensor) -> Tensor:
        """Return (B, KINDS) logits.

        Args:
            masks_BTKyx: (B, T, K, y, x) float, the fraction of each cell that an object covers.
            kinds_BTKS: (B, T, K, KINDS) float, the distribution over classes of each object.
            valid_BTK: (B, T, K) bool, True for slots with an object; other slots are ignored.
        """
        num_clips, num_frames = valid_BTK.shape[:2]
        objects_BTKO = torch.cat([self.encode_mask(masks_BTKyx.flatten(3)), kinds_BTKS], dim=3)
        # In training, each frame is related to a random earlier frame; in evaluation, relations to
        # all earlier frames are averaged.
        choose = sampled_earlier_frames if self.training else all_earlier_frames
        relations_BRG = self.relation(objects_BTKO, valid_BTK, choose(num_clips, num_frames))
        return self.classify(relations_BRG)  # R = T - 1 time steps


def draw_clips(number: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return (B, 2, K, y, x) masks, (B, 2, K, KINDS) classes, the (B, 2, K) mask of valid slots,
    and (B,) labels."""
    order_B2P = torch.rand(number, 2, SIDE * SIDE, generator=generator).argsort(dim=2)
    places_B2K = order_B2P[..., :KINDS]
    taken_B = torch.randint(1, KINDS, (number,), generator=generator)
    places_B2K[:, 1, 0] = places_B2K[torch.arange(number), 0, taken_B]
    masks_B2KP = functional.one_hot(places_B2K, SIDE * SIDE).float()
    kinds_B2KS = torch.eye(KINDS).expand(number, 2, KINDS, KINDS)
    valid_B2K = torch.rand(number, 2, KINDS, generator=generator) < 0.8
    valid_B2K[:, 1, 0] = True
    valid_B2K[torch.arange(number), 0, taken_B] = True
    return masks_B2KP.unflatten(3, (SIDE, SIDE)), kinds_B2KS, valid_B2K, taken_B


def main(steps: int = 600) -> float:
    """Train the network and return its accuracy on new clips; chance is a third."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = PlaceClassifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for step in range(steps):
        *inputs, label_B = draw_clips(128, generator)
        loss = functional.cross_entropy(network(*inputs), label_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}: loss {loss:.3f}")
    *inputs, label_B = draw_clips(2000, generator)
    with torch.inference_mode():
        predicted_B = network.eval()(*inputs).argmax(dim=1)
    accuracy = (predicted_B == label_B).float().mean().item()
    print(f"accuracy {accuracy:.1%} on 2000 new clips, chance 33.3%")
    return accuracy


if __name__ == "__main__":
    main()
