"""Colours that are seen together differ, for all eyes, and text on them is legible."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from orn.demo.world.parameters import WORLD_CLASSES
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.pages.palette import activity_colour, class_colour, text_colour

CLASSES = np.array([class_colour(label) for label in range(len(COCO_CLASSES))])
ACTIVITIES = np.array([activity_colour(place) for place in range(12)])
KITCHEN = ("person", "bottle", "cup", "fork", "knife", "spoon", "bowl", "chair", "dining table",
           "cell phone", "microwave", "oven", "sink", "refrigerator", "book")  # fmt: skip
MACHADO = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}  # fmt: skip
"""What eyes without a kind of cone see, of linear RGB (Machado et al., 2009)."""
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip


def linear(colours: NDArray) -> NDArray:
    shares = colours / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(colours: NDArray, eyes: str = "all cones") -> NDArray:
    seen = np.clip(linear(colours) @ np.array(MACHADO[eyes]).T, 0, 1)
    xyz = seen @ TO_XYZ.T / [0.95047, 1, 1.08883]
    x, y, z = np.moveaxis(
        np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def closest(colours: NDArray, eyes: str) -> float:
    """Smallest distance of two colours in CIELAB."""
    one, other = np.triu_indices(len(colours), 1)
    seen = lab(colours, eyes)
    return float(np.linalg.norm(seen[one] - seen[other], axis=-1).min())


def seen_together() -> Iterator[NDArray]:
    """Ten neighbouring classes, whose list goes by subject, those of the demo, and of kitchens."""
    yield from sliding_window_view(CLASSES, 10, axis=0).transpose(0, 2, 1)
    for names in (WORLD_CLASSES, KITCHEN):
        yield CLASSES[[COCO_CLASSES.index(name) for name in names]]


@pytest.mark.parametrize("eyes", MACHADO)
def test_colours_that_are_seen_together_differ(eyes: str) -> None:
    all_cones = eyes == "all cones"
    assert min(closest(each, eyes) for each in seen_together()) > (18 if all_cones else 9)
    six = sliding_window_view(ACTIVITIES, 6, axis=0).transpose(0, 2, 1)
    assert min(closest(each, eyes) for each in six) > (36 if all_cones else 10.5)


def test_no_two_colours_are_the_same() -> None:
    assert closest(CLASSES, "all cones") > 6.5
    assert np.linalg.norm(lab(CLASSES)[:, None] - lab(ACTIVITIES), axis=-1).min() > 9.5


@pytest.mark.parametrize(("colours", "text"), [(CLASSES, 0), (ACTIVITIES, 255)])
def test_text_is_legible(colours: NDArray, text: int) -> None:
    assert {text_colour(tuple(colour)) for colour in colours.tolist()} == {(text,) * 3}
    luminance = linear(colours) @ TO_XYZ[1]
    assert (np.maximum(luminance, text / 255) + 0.05).min() / (
        np.minimum(luminance, text / 255) + 0.05
    ).max() >= 4.5
