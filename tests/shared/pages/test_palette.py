"""Colors that are seen together differ, for all eyes, and text on them is legible."""

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.pages.palette import activity_color, class_color, text_color

CLASSES = np.array([class_color(label) for label in range(len(COCO_CLASSES))])
ACTIVITIES = np.array([activity_color(place) for place in range(12)])
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip


def linear(colors: NDArray) -> NDArray:
    shares = colors / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("colors", "text"), [(CLASSES, 0), (ACTIVITIES, 255)])
def test_text_is_legible(colors: NDArray, text: int) -> None:
    assert {text_color(tuple(color)) for color in colors.tolist()} == {(text,) * 3}
    luminance = linear(colors) @ TO_XYZ[1]
    assert (np.maximum(luminance, text / 255) + 0.05).min() / (
        np.minimum(luminance, text / 255) + 0.05
    ).max() >= 4.5
