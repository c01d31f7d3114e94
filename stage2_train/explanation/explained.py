"""Explained clips of a run: frames, objects, and the importance of pairs for a class.

B clips of a batch, E explanations (one for each clip and class), T frames, K object slots,
H W pixels, h w cells.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from orn.shared.drawing.draw_frame import DrawnObjects
from orn.shared.text import truncate
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.explanation.importance import ClipPairs, Pair, explain

DECIDED = {
    "both": "Each head on its own predicts this class",
    "object_head": "Only the object head predicts this class on its own",
    "activity_head": "Only the activity head predicts this class on its own",
    "neither": "Neither head predicts this class on its own, only both together",
}
"""Descriptions of the values of `decided_by`."""
WHOLE_FRAME = "the whole frame"
"""Name of the background object in texts for people; it has no box."""
_BATCH_SIZE = 16
_LISTED_OBJECTS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedClip:
    """A clip with the explanation of one class."""

    id: str
    """Id of the segment."""
    activity: int
    """The explained class."""
    frames_THW3: NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB."""
    masks_TKhw: NDArray[np.float32]
    """(T, K, h, w) fraction of each cell that the mask covers."""
    boxes_TK4: NDArray[np.float32]
    """(T, K, 4) x1 y1 x2 y2 in pixels."""
    labels_TK: NDArray[np.int64]
    """(T, K) detector classes; the background is the last one."""
    scores_TK: NDArray[np.float32]
    """(T, K) score of the highest-scoring class."""
    valid_TK: NDArray[np.bool_]
    """(T, K) whether a slot holds an object."""
    background: int
    """Label of the background."""
    pairs: ClipPairs | None
    """Importance of pairs; None if the network does not relate pairs of objects."""
    decided_by: str | None
    """Head that determined the prediction; None with a single head."""

    def strongest(self, most: int | None = None, *, against: bool = False) -> list[Pair]:
        """Return the pairs that support or oppose the class most."""
        found = [] if self.pairs is None else self.pairs.strongest(most, against=against)
        return [each for each in found if (each.logit_drop < 0 if against else each.logit_drop > 0)]

    def places(self, pair: Pair) -> list[tuple[int, int]]:
        """Return the frame and slot of both objects of a pair."""
        return [*zip(pair.frames, pair.objects, strict=True)]

    def pair_text(self, pair: Pair, names: tuple[str, ...]) -> str:
        """Return a pair as text, such as `cup (frame 1) and person (frame 3)`."""
        titles = [*names, WHOLE_FRAME]
        return " and ".join(
            f"{titles[self.labels_TK[frame, slot]]} (frame {frame + 1})"
            for frame, slot in self.places(pair)
        )

    def detected_text(self, names: tuple[str, ...]) -> str:
        """Return the detected classes with their highest scores, such as `cup 0.98, bed 0.91`."""
        is_shown_TK = self.valid_TK & (self.labels_TK < self.background)
        labels, scores = self.labels_TK[is_shown_TK], self.scores_TK[is_shown_TK]
        return detected_text(zip([names[label] for label in labels], scores, strict=True))

    def drawn_objects(self, frame: int) -> DrawnObjects:
        """Return the objects in a frame, without the background, on the grid of their masks."""
        (rows, columns), (height, width) = self.masks_TKhw.shape[2:], self.frames_THW3.shape[1:3]
        shown_k = np.flatnonzero(self.valid_TK[frame] & (self.labels_TK[frame] < self.background))
        cells = np.array([columns / width, rows / height] * 2, np.float32)
        return DrawnObjects(
            boxes=self.boxes_TK4[frame, shown_k] * cells,
            covers=self.masks_TKhw[frame, shown_k],
            labels=self.labels_TK[frame, shown_k],
            scores=self.scores_TK[frame, shown_k],
        )

    def center(self, frame: int, slot: int) -> tuple[float, float]:
        """Return the center of an object's box, relative to the frame's width and height."""
        height, width = self.frames_THW3.shape[1:3]
        x1, y1, x2, y2 = self.boxes_TK4[frame, slot].tolist()
        return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height


def detected_text(found: Iterable[tuple[str, float]]) -> str:
    """Return the classes of objects with their highest scores, such as `cup 0.98, bed 0.91`.

    Args:
        found: class and score of each object.
    """
    best: dict[str, float] = {}
    for name, score in found:
        best[name] = max(best.get(name, 0.0), score)
    seen = sorted(best.items(), key=lambda each: -each[1])[:_LISTED_OBJECTS]
    return ", ".join(f"{truncate(name, 40)} {score:.2f}" for name, score in seen) or "nothing"


def explained_clips(
    network: nn.Module | None,
    clips: ClipDataset,
    asked: Mapping[str, Iterable[int]],
    *,
    device: torch.device,
    workers: int,
    two_heads: bool,
    advance: Callable[[int], None],
) -> Iterator[ExplainedClip]:
    """Yield each clip once per class to explain.

    Args:
        network: network in evaluation mode on the device; None if it does not relate pairs of
            objects, in which case clips have no explanation.
        clips: centered clips.
        asked: classes to explain, by segment id.
        device: device for the computation.
        workers: number of processes that load batches.
        two_heads: whether both heads are trained.
        advance: called with the number of clips of each finished batch.
    """
    for batch in evaluation_loader(clips, LoaderSettings(batch_size=_BATCH_SIZE, workers=workers)):
        places = [(clip, each) for clip, id in enumerate(batch.ids) for each in asked[id]]
        for start in range(0, len(places), len(batch)):
            part = places[start : start + len(batch)]
            found = None
            if network is not None:
                clips_E = torch.tensor([clip for clip, _ in part])
                class_E = torch.tensor([activity for _, activity in part])
                inputs = batch.inputs().of_clips(clips_E, device)
                found = explain(network, inputs, class_B=class_E.to(device))
            decided = found.decided_by() if found and two_heads else [None] * len(part)
            for place, (clip, activity) in enumerate(part):
                yield ExplainedClip(
                    id=batch.ids[clip],
                    activity=activity,
                    frames_THW3=batch.frames_BTCHW[clip].permute(0, 2, 3, 1).numpy(),
                    masks_TKhw=batch.masks_BTKhw[clip].numpy(),
                    boxes_TK4=batch.boxes_BTK4[clip].numpy(),
                    labels_TK=batch.detector_labels_BTK[clip].numpy(),
                    scores_TK=batch.class_scores_BTKS[clip, ..., :-1].amax(dim=-1).numpy(),
                    valid_TK=batch.valid_BTK[clip].numpy(),
                    background=batch.class_scores_BTKS.shape[-1] - 1,
                    pairs=found.of_clip(place) if found else None,
                    decided_by=decided[place],
                )
        advance(len(batch))
