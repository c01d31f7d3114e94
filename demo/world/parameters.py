"""What can be turned in the demo world, and the words it uses: activities, roles, classes.

The label of a clip is what one pair of objects, X and Y, does. X and Y are told apart from every
other object by their classes (their role), so a label can be read from the film alone.
"""

from typing import Annotated, Any, Literal, Self, get_args

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
"""Classes of `demo-both`, all drawn as one ball is: the detector alone tells them apart."""
DRAWN_CLASSES = tuple(dict.fromkeys((*WORLD_CLASSES, *ALIKE)))
"""All that is drawn in any world."""
SURFACES = ("wood", "tiles", "cloth", "stone")
"""Of tables, in the order of `render.draw_table`."""

TOUCHABLE = tuple(name for name in WORLD_CLASSES if name != HAND)


def category_id(class_name: str) -> int:
    """COCO-style category number of a class, from 1, in the order of the 80 COCO classes."""
    return COCO_CLASSES.index(class_name) + 1


LARGEST_CAMERA_OF_PLACES = 6.0
"""For demo-places and demo-both: whether an object is where another was can be seen only if the
camera moves by less than half of the distance between two objects."""
SMALLEST_TEXTURE_OF_BOTH = 0.5
"""For demo-both: on plainer tables, surfaces cannot be told apart."""

FEWEST_COLUMNS = 3
"""Of a grid of places: with less, not all objects find a place of their own."""

_PICTURE = ("camera_pixels", "noise", "texture")
_CAST = ("distractors", "look_alikes", "idle_hand_probability")
_TOUCH = ("objects", "classes", "stops", "pull_pixels")
USED_DIALS = {
    "demo": ("frames", "decoy_probability", "decoy_pairs", *_CAST, *_PICTURE),
    "demo-touch": (*_TOUCH, *_PICTURE),
    "demo-long": (*_CAST, *_PICTURE),
    "demo-places": ("columns", "owners", "balls", *_PICTURE),
    "demo-classes": (*_TOUCH, *_PICTURE),
    "demo-both": ("columns", *_PICTURE),
    "demo-detector": ("frames", *_CAST, *_PICTURE),
}
"""The dials that turn each data set; the others change nothing of it."""

DETECTOR_FRAMES = "demo-detector"
World = Literal["demo", "demo-touch", "demo-long", "demo-places", "demo-classes", "demo-both"]
WORLDS: tuple[World, ...] = get_args(World)
"""The data sets of films; the other one has single frames, to train the demo's detector on."""

_FIRST_DIALS = (
    "frames",
    "decoy_probability",
    "distractors",
    "idle_hand_probability",
    "camera_pixels",
    "noise",
)


class Dials(Request):
    """One world. Two worlds with equal dials and seed are equal file for file."""

    frames: Annotated[int, Field(ge=2)] = 12
    """Of a clip, at 8 frames/s."""
    decoy_probability: Annotated[
        Share,
        Option("How often a decoy pair acts, too; otherwise it lies still.", name="--decoys"),
    ] = 0.5
    distractors: Annotated[
        int,
        Field(ge=0, le=4),
        Option("Objects of other classes that lie still, beside the pairs."),
    ] = 1
    idle_hand_probability: Share = 0.5
    """How often a hand comes or goes without acting on X; it may touch others."""
    camera_pixels: Annotated[
        float,
        Field(ge=0, le=12),  # as far as the table is drawn
        Option("Largest drift of the camera, in pixels.", name="--camera"),
    ] = 3.0
    noise: Annotated[
        float,
        Field(ge=0, le=60),
        Option("Standard deviation of the sensor noise, in grey levels."),
    ] = 5.0
    decoy_pairs: Annotated[
        int, Field(ge=0, le=3), Option("Pairs of decoys, each with an activity of its own.")
    ] = 1
    look_alikes: Annotated[
        int, Field(ge=0, le=3), Option("Objects of X's own class that lie still; X moves.")
    ] = 0
    texture: Annotated[
        float, Field(ge=0, le=2), Option("Strength of the table's pattern; 0 is a plain table.")
    ] = 1.0
    objects: Annotated[
        int, Field(ge=1, le=8), Option("Objects on the table, of different classes.")
    ] = 6
    classes: Annotated[
        int,
        Field(ge=1, le=len(TOUCHABLE)),
        Option(
            "Classes that those objects are drawn from. With as many as objects, every film shows "
            "all of them, and which classes are there says nothing."
        ),
    ] = len(TOUCHABLE)
    stops: Annotated[
        int, Field(ge=1, le=3), Option("Stops of the hand at most, on objects or beside them.")
    ] = 3
    pull_pixels: Annotated[
        float,
        Field(ge=0, le=30),
        Option(
            "How far the hand pulls what it touches, in pixels; a touch then leaves a trace that "
            "frames before and after it show.",
            name="--pull",
        ),
    ] = 0.0
    columns: Annotated[
        int,
        Field(ge=0, le=5),
        Option("Columns of a grid of places, with three rows; 0 for anywhere."),
    ] = 0
    owners: Annotated[
        int,
        Field(ge=1, le=len(ROLE_Y)),
        Option("Objects in whose old place a ball may stand."),
    ] = len(ROLE_Y)
    balls: Annotated[int, Field(ge=1, le=3), Option("Balls, all alike.")] = 3

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        if 0 < self.columns < FEWEST_COLUMNS:
            raise ValueError(
                f"dials.columns must be 0 or at least {FEWEST_COLUMNS}, found {self.columns}"
            )
        if self.objects > self.classes:
            raise ValueError(
                f"dials.objects must be at most dials.classes, {self.classes}, since all objects "
                f"are of different classes; found {self.objects}"
            )
        return self

    def check_for(self, dataset: str) -> None:
        """Raise ConfigError if this data set's labels could not be read from its films."""
        in_places = dataset in ("demo-places", "demo-both")
        if in_places and self.camera_pixels > LARGEST_CAMERA_OF_PLACES:
            raise ConfigError(
                f"{dataset}: dials.camera_pixels must lie in [0, {LARGEST_CAMERA_OF_PLACES}], "
                f"found {self.camera_pixels}; beyond, old places cannot be told apart"
            )
        if dataset == "demo-both" and self.texture < SMALLEST_TEXTURE_OF_BOTH:
            raise ConfigError(
                f"demo-both: dials.texture must be at least {SMALLEST_TEXTURE_OF_BOTH}, found "
                f"{self.texture}; below, surfaces cannot be told apart"
            )

    def of(self, dataset: str) -> dict[str, Any]:
        """The dials that turn this data set, by name."""
        return {name: getattr(self, name) for name in USED_DIALS[dataset]}

    def as_json(self) -> dict[str, Any]:
        """What a world's record says: the dials of the first worlds, and of those that came later
        what differs from its default, so that the record of an old world stays as it is."""
        return {
            name: value
            for name, value in self
            if value != Dials.model_fields[name].default or name in _FIRST_DIALS
        }
