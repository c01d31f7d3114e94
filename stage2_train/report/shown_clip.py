"""A clip that is shown to people, on pages and in films: the objects that a network read in it, and
the pairs of them that are important for one class, in words.

B clips of a batch, T frames, K object slots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.text import truncate
from orn.stage2_train.clips.object_slots import BACKGROUND
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.report.importance import Pair

LEAST_DROP = 0.02
"""Smaller logit drops are neither drawn nor named."""
PART_NAMES = {
    "activity_head": "the activity head",
    "object_head": "the object head",
    "forest": "the forest",
    "film_head": "the head over time",
}
"""Parts of a model that have a prediction of their own, and their names for people."""
WHOLE_FRAME = "the whole frame"
"""Name of the background object in texts for people; it has no box."""
_LISTED_OBJECTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenObject:
    """An object in a frame of the network's input."""

    label: int
    """Index of its detector class; the background is the last one."""
    name: str
    """Detector class, or `background`."""
    score: float
    """Score of that class, 0..1."""
    box: tuple[float, float, float, float]
    """x1 y1 x2 y2, half-open, clipped to the crop, in pixels of the clip's grid."""

    @property
    def is_whole_frame(self) -> bool:
        """Whether this is the background object, whose mask covers the whole frame."""
        return self.name == BACKGROUND

    @property
    def title(self) -> str:
        """Name for people."""
        return WHOLE_FRAME if self.is_whole_frame else self.name

    def as_json(self) -> dict[str, Any]:
        """Return name, score and box with rounded numbers."""
        return {
            "name": self.name,
            "score": round(self.score, 4),
            "box": [round(value, 2) for value in self.box],
        }


def deciding_parts(
    logits: Mapping[str, NDArray[np.float32]], activity: int
) -> tuple[str, ...] | None:
    """Return the parts of a model that predict a class on their own; None if it has one part.

    Args:
        logits: (A,) logits by name in reports.
        activity: index of the class.
    """
    known = [part for part in PART_NAMES if part in logits]
    if len(known) < 2:
        return None
    return tuple(part for part in known if int(logits[part].argmax()) == activity)


def _own(number: int) -> str:
    return "its" if number == 1 else "their"


def seen_objects(
    batch: ClipBatch, clip: int, names: Sequence[str], window: Sequence[float]
) -> tuple[tuple[SeenObject, ...], ...]:
    """Return the objects in the valid slots of each frame of a clip, in order.

    Args:
        batch: the batch, on the CPU.
        clip: index of the clip in the batch.
        names: names of the detector's classes.
        window: x1 y1 x2 y2 of the crop in the grid of the result.
    """
    height, width = batch.crop
    x1, y1, x2, y2 = window
    per_pixel = np.array([(x2 - x1) / width, (y2 - y1) / height] * 2)
    boxes_TK4 = batch.boxes_BTK4[clip].numpy() * per_pixel + np.array([x1, y1, x1, y1])
    labels_TK, scores_TKS = (
        values[clip].numpy() for values in (batch.detector_labels_BTK, batch.class_scores_BTKS)
    )
    titles = (*names, BACKGROUND)
    return tuple(
        tuple(
            SeenObject(
                label=(label := int(labels_TK[time, slot])),
                name=titles[label],
                score=float(scores_TKS[time, slot, label]),
                box=tuple(boxes_TK4[time, slot].tolist()),
            )
            for slot in np.flatnonzero(valid_K).tolist()
        )
        for time, valid_K in enumerate(batch.valid_BTK[clip].numpy())
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownClip:
    """The objects in the frames of a clip, with the explanation of one class."""

    seconds: tuple[float, ...]
    """Times of the T frames that the network read."""
    objects: tuple[tuple[SeenObject, ...], ...]
    """Objects of each of these frames."""
    grid: tuple[int, int]
    """Width and height of the pixel grid of boxes: the video's frames, or imported masks of a
    different size; in a report, the crop."""
    activity: str
    """The explained class."""
    pairs: tuple[Pair, ...] | None = None
    """Pairs of objects, the one with the largest logit drop first; None if they are not explained,
    or the network relates no pairs."""
    decided_by: tuple[str, ...] | None = None
    """Parts of the model that predict the class on their own; None if it has one part."""

    def members(self, pair: Pair) -> list[tuple[SeenObject, float]]:
        """Return the objects of a pair with their times in seconds."""
        slots = zip(pair.frames, pair.objects, strict=True)
        return [(self.objects[frame][slot], self.seconds[frame]) for frame, slot in slots]

    def pair_text(self, pair: Pair) -> str:
        """Return a pair as text, such as `cup at 0.40 s and person at 0.80 s`."""
        return " and ".join(f"{seen.title} at {at:.2f} s" for seen, at in self.members(pair))

    def shown_pairs(self, most: int, *, against: bool = False) -> list[Pair]:
        """Return the pairs that support the class most, or oppose it most, without those whose
        logit drop is too small to be shown."""
        ordered, sign = (self.pairs or ())[:: -1 if against else 1], -1 if against else 1
        return [pair for pair in ordered if sign * pair.logit_drop >= LEAST_DROP][:most]

    def sentences(self, most: int, *, against: bool = False) -> list[str]:
        """Return a sentence for each of the `shown_pairs`, or that there are none; nothing if
        pairs are not explained."""
        if self.pairs is None:
            return []
        activity = f"\u201c{truncate(self.activity, 60)}\u201d"
        effect = "rises" if against else "drops"
        return [
            f"Without {self.pair_text(pair)}, the logit of {activity} {effect} by "
            f"{abs(pair.logit_drop):.2f}."
            for pair in self.shown_pairs(most, against=against)
        ] or [f"No pair {'opposes' if against else 'supports'} {activity} by {LEAST_DROP} or more."]

    def decided_text(self) -> str:
        """Return which parts predict the class on their own in a sentence; empty for one part."""
        if self.decided_by is None:
            return ""
        if not self.decided_by:
            return "No part of the model predicts this class on its own, only all together."
        names = [PART_NAMES[part] for part in self.decided_by]
        listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        verb = "predicts" if len(names) == 1 else "predict"
        return f"{listed[0].upper()}{listed[1:]} {verb} this class on {_own(len(names))} own."

    def detected_text(self) -> str:
        """Return the detected classes with their highest scores, such as `cup 0.98, bed 0.91`."""
        best: dict[str, float] = {}
        for seen in (seen for frame in self.objects for seen in frame if not seen.is_whole_frame):
            best[seen.name] = max(best.get(seen.name, 0.0), seen.score)
        listed = sorted(best.items(), key=lambda item: -item[1])[:_LISTED_OBJECTS]
        return ", ".join(f"{truncate(name, 40)} {score:.2f}" for name, score in listed) or "nothing"
