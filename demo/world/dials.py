"""What can be turned in the demo world, and the words it uses: activities, roles, classes.

The label of a clip is what one pair of objects, X and Y, does. X and Y are told apart from every
other object by their classes (their role), so a label can be read from the film alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from shared.errors import ConfigError
from shared.masks.coco_classes import COCO_CLASSES

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


DIAL_LIMITS = {
    "distractors": 4,
    "camera_pixels": 12.0,
    "noise": 60.0,
    "decoy_pairs": 3,
    "look_alikes": 3,
    "texture": 2.0,
    "objects": 8,
    "classes": len(TOUCHABLE),
    "stops": 3,
    "pull_pixels": 30.0,
    "columns": 5,
    "owners": len(ROLE_Y),
    "balls": 3,
}
"""Largest value of each dial that has one; the camera's is as far as the table is drawn."""

LARGEST_CAMERA_OF_PLACES = 6.0
"""For demo-places: whether a ball is where another object was can be seen only if the camera moves
by less than half of the distance between two objects."""

FEWEST_COLUMNS = 3
"""Of the grid of demo-places: with less, not all objects find a place of their own."""

_PICTURE = ("camera_pixels", "noise", "texture")
_CAST = ("distractors", "look_alikes", "idle_hand_probability")
_TOUCH = ("objects", "classes", "stops", "pull_pixels")
_PLACES = ("columns", "owners", "balls")
_AT_LEAST_ONE = ("objects", "classes", "stops", "owners", "balls")
USED_DIALS = {
    "demo": ("frames", "decoy_probability", "decoy_pairs", *_CAST, *_PICTURE),
    "demo-touch": (*_TOUCH, *_PICTURE),
    "demo-long": (*_CAST, *_PICTURE),
    "demo-places": (*_PLACES, *_PICTURE),
    "demo-classes": (*_TOUCH, *_PICTURE),
    "demo-detector": ("frames", *_CAST, *_PICTURE),
}
"""The dials that turn each data set; the others change nothing of it."""

_FIRST_DIALS = (
    "frames",
    "decoy_probability",
    "distractors",
    "idle_hand_probability",
    "camera_pixels",
    "noise",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dials:
    """One world. Two worlds with equal dials and seed are equal file for file."""

    frames: int = 12
    """Frames of a clip, at 8 frames/s."""

    decoy_probability: float = 0.5
    """How often a decoy pair performs an activity too (a random one); otherwise it lies still."""

    distractors: int = 1
    """Objects that only lie there, beside the pairs."""

    idle_hand_probability: float = 0.5
    """How often a hand comes or goes without acting on X; it may touch another object."""

    camera_pixels: float = 3.0
    """Largest drift of the camera from its place, in pixels."""

    noise: float = 5.0
    """Standard deviation of the sensor noise, in grey levels."""

    decoy_pairs: int = 1
    """Pairs of decoy classes; each acts or lies still by itself."""

    look_alikes: int = 0
    """More objects of X's class, that lie still: X is the one that moves."""

    texture: float = 1.0
    """Strength of the table's pattern; 0 is a plain table."""

    objects: int = 6
    """Objects on the table, all of different classes, where a hand visits some of them."""

    classes: int = len(TOUCHABLE)
    """Classes that those objects are drawn from, the first of `TOUCHABLE`. With as many objects,
    every film shows all of them, and which classes are there says nothing."""

    stops: int = 3
    """Stops that the hand makes at most, on objects or beside them."""

    pull_pixels: float = 0.0
    """How far the hand pulls what it touches before it goes on, in pixels. Where it does, a touch
    leaves a trace that frames before and after it show."""

    columns: int = 0
    """Of a grid with three rows on which objects stand, so that there are few places to know; 0
    for anywhere on the table."""

    owners: int = len(ROLE_Y)
    """Objects of different classes in whose old place a ball may stand, the first of `ROLE_Y`."""

    balls: int = 3
    """Balls, all alike."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ConfigError(f"dials.frames must be at least 2, found {self.frames}")
        for name in ("decoy_probability", "idle_hand_probability"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"dials.{name} must lie in [0, 1], found {value}")
        for name, largest in DIAL_LIMITS.items():
            value, least = getattr(self, name), int(name in _AT_LEAST_ONE)
            if not least <= value <= largest:
                raise ConfigError(f"dials.{name} must lie in [{least}, {largest}], found {value}")
        if 0 < self.columns < FEWEST_COLUMNS:
            raise ConfigError(
                f"dials.columns must be 0 or at least {FEWEST_COLUMNS}, found {self.columns}"
            )
        if self.objects > self.classes:
            raise ConfigError(
                f"dials.objects must be at most dials.classes, {self.classes}, since all objects "
                f"are of different classes; found {self.objects}"
            )

    def check_for(self, dataset: str) -> None:
        """Raise ConfigError if this data set's labels could not be read from its films."""
        if dataset == "demo-places" and self.camera_pixels > LARGEST_CAMERA_OF_PLACES:
            raise ConfigError(
                f"demo-places: dials.camera_pixels must lie in [0, {LARGEST_CAMERA_OF_PLACES}], "
                f"found {self.camera_pixels}; beyond, old places cannot be told apart"
            )

    def of(self, dataset: str) -> dict[str, Any]:
        """The dials that turn this data set, by name."""
        return {name: getattr(self, name) for name in USED_DIALS[dataset]}

    def as_json(self) -> dict[str, Any]:
        """What a world's record says: the dials of the first worlds, and of those that came later
        what differs from its default, so that the record of an old world stays as it is."""
        return {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default or field.name in _FIRST_DIALS
        }
