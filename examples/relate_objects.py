"""Use the relation module in your own network to predict whose place an object takes.

    python examples/relate_objects.py

The objects are random; each has a kind and a place. In the second frame, object 0 takes the place
that another object had in the first frame; the label is the index of that object. The label depends
on a pair of objects from two frames, not on a single frame or object.

Axes: B clips, T frames per clip, K slots per frame, O features per object, G features per relation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.frame_cliques import all_earlier_frames, sampled_earlier_frames
from orn.stage2_train.model.relation import ObjectRelation

KINDS = 4
WIDTH = KINDS + 2


class PlaceClassifier(nn.Module):
    """Example network; any layers can be used before and after the relation module."""

    def __init__(self) -> None:
        super().__init__()
        self.relation = ObjectRelation(object_width=WIDTH, relation_width=64)
        self.classify = nn.Linear(64, KINDS)

    def forward(self, objects_BTKO: Tensor, valid_BTK: Tensor) -> Tensor:
        """Return (B, KINDS) logits.

        Args:
            objects_BTKO: (B, T, K, O) float, the features of each object.
            valid_BTK: (B, T, K) bool, True for slots with an object; other slots are ignored.
        """
        num_clips, num_frames = valid_BTK.shape[:2]
        # In training, each frame is related to a random earlier frame; in evaluation, relations to
        # all earlier frames are averaged.
        choose = sampled_earlier_frames if self.training else all_earlier_frames
        relations_BRG = self.relation(objects_BTKO, valid_BTK, choose(num_clips, num_frames))
        return self.classify(relations_BRG.sum(dim=1))  # R = T - 1 time steps


def draw_clips(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return (B, 2, K, O) objects, the (B, 2, K) mask of valid slots, and (B,) labels."""
    kinds_K = torch.arange(KINDS)
    places_B2K2 = torch.rand(number, 2, KINDS, 2, generator=generator) * 2 - 1
    taken_B = torch.randint(1, KINDS, (number,), generator=generator)
    places_B2K2[:, 1, 0] = places_B2K2[torch.arange(number), 0, taken_B]
    kinds_B2KS = functional.one_hot(kinds_K, KINDS).float().expand(number, 2, KINDS, KINDS)
    valid_B2K = torch.rand(number, 2, KINDS, generator=generator) < 0.8
    valid_B2K[:, 1, 0] = True
    valid_B2K[torch.arange(number), 0, taken_B] = True
    return torch.cat([kinds_B2KS, places_B2K2], dim=3), valid_B2K, taken_B


def main(steps: int = 600) -> float:
    """Train the network and return its accuracy on new clips; chance is a third."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = PlaceClassifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for step in range(steps):
        objects_BTKO, valid_BTK, label_B = draw_clips(128, generator)
        loss = functional.cross_entropy(network(objects_BTKO, valid_BTK), label_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}: loss {loss:.3f}")
    objects_BTKO, valid_BTK, label_B = draw_clips(2000, generator)
    with torch.inference_mode():
        predicted_B = network.eval()(objects_BTKO, valid_BTK).argmax(dim=1)
    accuracy = (predicted_B == label_B).float().mean().item()
    print(f"accuracy {accuracy:.1%} on 2000 new clips, chance 33.3%")
    return accuracy


if __name__ == "__main__":
    main()
