"""What can be turned in the demo world, and the words it uses: activities, roles, classes.

The label of a clip is what one pair of objects, X and Y, does. X and Y are told apart from every
other object by their classes (their role), so a label can be read from the film alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.coco_classes import COCO_CLASSES
from shared.errors import ConfigError

HEIGHT, WIDTH = 120, 160
FRAMES_PER_SECOND = 8

ACTIVITIES = (
    "put X into Y",
    "take X out of Y",
    "X moves towards Y",
    "X moves away from Y",
    "X pushes Y",
    "X touches Y and Y stays",
    "pick up X",
    "put down X",
    "X passes in front of Y",
    "X passes behind Y",
    "X and Y swap places",
    "X circles Y",
)
MIRRORED = {0: 1, 1: 0, 2: 3, 3: 2, 6: 7, 7: 6, 8: 8, 9: 9, 10: 10, 11: 11}
"""Activity seen when the film runs backwards; 4 and 5 become something that has no name here."""

ROLE_X = ("sports ball", "banana", "scissors")
ROLE_Y = ("bowl", "cup", "vase")
DECOY_X = ("apple", "cell phone", "mouse")
DECOY_Y = ("handbag", "potted plant", "toaster")
DISTRACTORS = ("book", "bottle")
HAND = "person"
WORLD_CLASSES = (*ROLE_X, *ROLE_Y, *DECOY_X, *DECOY_Y, *DISTRACTORS, HAND)
"""The 15 of the 80 COCO classes that occur."""

TOUCHABLE = tuple(name for name in WORLD_CLASSES if name != HAND)


def category_id(class_name: str) -> int:
    """COCO-style category number of a class, from 1, in the order of the 80 COCO classes."""
    return COCO_CLASSES.index(class_name) + 1


def coco_categories() -> list[dict[str, int | str]]:
    """`categories` of a COCO file: all 80 classes with their numbers."""
    return [{"id": category_id(name), "name": name} for name in COCO_CLASSES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dials:
    """One world. Two worlds with equal dials and seed are equal file for file."""

    frames: int = 12
    """Frames of a clip, at 8 frames/s."""

    decoy_probability: float = 0.5
    """How often the decoy pair performs an activity too (a random one); otherwise it lies still."""

    distractors: int = 1
    """Objects that only lie there, beside the two pairs."""

    idle_hand_probability: float = 0.5
    """How often a hand comes or goes without acting on X; it may touch another object."""

    camera_pixels: float = 3.0
    """Largest drift of the camera from its place, in pixels."""

    noise: float = 5.0
    """Standard deviation of the sensor noise, in grey levels."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ConfigError(f"dials.frames must be at least 2, found {self.frames}")
        for name in ("decoy_probability", "idle_hand_probability"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"dials.{name} must lie in [0, 1], found {value}")
        if not 0 <= self.distractors <= 4:
            raise ConfigError(f"dials.distractors must lie in [0, 4], found {self.distractors}")
