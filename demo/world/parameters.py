"""The parameters of the demo world, and its activities, roles and classes.

The label of a clip is the activity of a pair of objects, X and Y. Their classes (the role)
distinguish them from all other objects, so the film alone determines the label.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from orn.shared.common_options import Share
from orn.shared.errors import ConfigError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.options import Option, Request

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

ROLE_X = ("sports ball", "banana", "scissors")
ROLE_Y = ("bowl", "cup", "vase")
DECOY_X = ("apple", "cell phone", "mouse")
DECOY_Y = ("handbag", "potted plant", "toaster")
DISTRACTORS = ("book", "bottle")
HAND = "person"
WORLD_CLASSES = (*ROLE_X, *ROLE_Y, *DECOY_X, *DECOY_Y, *DISTRACTORS, HAND)
"""The 15 of the 80 COCO classes that are drawn."""

ALIKE = ("sports ball", "apple", "orange")
"""Classes of `demo-both`, all drawn as identical balls: only the detector distinguishes them."""
SURFACES = ("wood", "tiles", "cloth", "stone")
"""Surfaces of tables, in the order of `render.draw_table`."""


def category_id(class_name: str) -> int:
    """Return the category id of a class: its index among the 80 COCO classes, from 1."""
    return COCO_CLASSES.index(class_name) + 1


LARGEST_CAMERA_OF_BOTH = 6.0
"""Maximum drift in demo-both: half of the distance between two objects, so that the former place of
an object can be recognized."""
SMALLEST_TEXTURE_OF_BOTH = 0.5
"""Minimum texture in demo-both: plainer surfaces cannot be distinguished."""

FEWEST_COLUMNS = 3
"""Minimum number of columns of a grid: fewer would not have a place for each object."""

_PICTURE = ("camera_pixels", "noise", "texture")
_CAST = ("distractors", "look_alikes", "idle_hand_probability")
World = Literal["demo", "demo-both"]
USED_PARAMETERS: dict[World, tuple[str, ...]] = {
    "demo": ("frames", "decoy_probability", "decoy_pairs", *_CAST, *_PICTURE),
    "demo-both": ("columns", *_PICTURE),
}
"""Parameters that each data set uses."""


class WorldParameters(Request):
    """Parameters of a world. Worlds with the same parameters and seed have identical films."""

    frames: Annotated[int, Field(ge=2)] = 12
    """Number of frames per clip, at 8 Hz."""
    decoy_probability: Annotated[
        Share,
        Option("Probability that a decoy pair acts; otherwise it does not move.", name="--decoys"),
    ] = 0.5
    distractors: Annotated[
        int, Field(ge=0, le=4), Option("Number of motionless objects of other classes.")
    ] = 1
    idle_hand_probability: Share = 0.5
    """Probability that there is a hand that does not act on X; it may touch other objects."""
    camera_pixels: Annotated[
        float,
        Field(ge=0, le=12),  # the edge of the drawn table
        Option("Maximum drift of the camera in pixels.", name="--camera"),
    ] = 3.0
    noise: Annotated[
        float, Field(ge=0, le=60), Option("Standard deviation of the sensor noise in gray levels.")
    ] = 5.0
    decoy_pairs: Annotated[
        int, Field(ge=0, le=3), Option("Number of decoy pairs, each with its own activity.")
    ] = 1
    look_alikes: Annotated[
        int, Field(ge=0, le=3), Option("Number of motionless objects of X's class.")
    ] = 0
    texture: Annotated[
        float, Field(ge=0, le=2), Option("Contrast of the table's pattern; 0 for a plain table.")
    ] = 1.0
    columns: Annotated[
        int,
        Field(ge=0, le=5),
        Option("Columns of a grid of places with three rows; 0 for arbitrary places."),
    ] = 0

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        if 0 < self.columns < FEWEST_COLUMNS:
            raise ValueError(
                f"columns: expected 0 or at least {FEWEST_COLUMNS}, got {self.columns}"
            )
        return self

    def check_for(self, dataset: World) -> None:
        """Raise ConfigError if the films of a data set would not determine its labels."""
        if dataset != "demo-both":
            return
        if self.camera_pixels > LARGEST_CAMERA_OF_BOTH:
            raise ConfigError(
                f"demo-both: expected camera_pixels of at most {LARGEST_CAMERA_OF_BOTH}, got "
                f"{self.camera_pixels}; lower it, so that old places can be recognized"
            )
        if self.texture < SMALLEST_TEXTURE_OF_BOTH:
            raise ConfigError(
                f"demo-both: expected texture of at least {SMALLEST_TEXTURE_OF_BOTH}, got "
                f"{self.texture}; raise it, so that surfaces can be distinguished"
            )

    def used_by(self, dataset: World) -> dict[str, Any]:
        """Return the parameters that a data set uses, by name."""
        return {name: getattr(self, name) for name in USED_PARAMETERS[dataset]}
