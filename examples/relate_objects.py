"""The relation module alone, in a network of one's own: who takes whose place?

    python examples/relate_objects.py

Objects come from anywhere: here they are drawn, each a kind and a place. In the second frame object
0 stands where another one stood before, and the label says which. No single frame tells that, and
no single object: it lies between an object of one frame and an object of another.

B clips, T frames of a clip, K slots of a frame, O numbers of an object, G numbers of a relation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.frame_cliques import all_earlier_frames, drawn_earlier_frames
from orn.stage2_train.model.relation import ObjectRelation

KINDS = 4
WIDTH = KINDS + 2


class TakesWhosePlace(nn.Module):
    """Your network: anything before the objects, anything after the relations."""

    def __init__(self) -> None:
        super().__init__()
        self.relation = ObjectRelation(object_width=WIDTH, relation_width=64)
        self.classify = nn.Linear(64, KINDS)

    def forward(self, objects_BTKO: Tensor, valid_BTK: Tensor) -> Tensor:
        """(B, KINDS) logits.

        Args:
            objects_BTKO: (B, T, K, O) float, a vector for each object.
            valid_BTK: (B, T, K) bool, which slots hold one; the vectors of others are never read.
        """
        num_clips, num_frames = valid_BTK.shape[:2]
        # Which frames are related: in training one earlier frame is drawn for each frame, in
        # evaluation all earlier ones are averaged.
        choose = drawn_earlier_frames if self.training else all_earlier_frames
        relations_BRG = self.relation(objects_BTKO, valid_BTK, choose(num_clips, num_frames))
        return self.classify(relations_BRG.sum(dim=1))  # R = T - 1 steps in time


def draw_clips(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 2, K, O) objects, (B, 2, K) which slots hold one, and (B,) whose place object 0 takes."""
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
    """Trains, and returns the share of new clips that are answered rightly; chance is a third."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = TakesWhosePlace()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps)
    for step in range(steps):
        objects_BTKO, valid_BTK, label_B = draw_clips(128, generator)
        loss = functional.cross_entropy(network(objects_BTKO, valid_BTK), label_B)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}: loss {loss:.3f}")
    objects_BTKO, valid_BTK, label_B = draw_clips(2000, generator)
    with torch.inference_mode():
        said_B = network.eval()(objects_BTKO, valid_BTK).argmax(dim=1)
    right = (said_B == label_B).float().mean().item()
    print(f"{right:.1%} of 2000 new clips, chance is 33.3%")
    return right


if __name__ == "__main__":
    main()
