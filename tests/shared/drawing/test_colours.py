"""Colours of classes."""

from itertools import pairwise

from orn.shared.drawing.colours import class_colour, text_colour
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES

COLOURS = [class_colour(label) for label in range(NUM_COCO_CLASSES)]


def test_every_class_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS)) == NUM_COCO_CLASSES
    assert all(0 <= value <= 255 for colour in COLOURS for value in colour)


def test_neighbouring_classes_differ_clearly() -> None:
    distances = [
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for one, other in pairwise(COLOURS)
    ]
    assert min(distances) > 100


def test_text_is_legible_on_every_colour() -> None:
    """A contrast of at least 4.5, as WCAG 2.2 asks of text."""

    def luminance(colour: tuple[int, int, int]) -> float:
        linear = [
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
            for share in (value / 255 for value in colour)
        ]
        return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for colour in COLOURS:
        dark, light = sorted((luminance(colour), luminance(text_colour(colour))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5
