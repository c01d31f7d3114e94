"""What a film of the demo world shows: its classes, its labels and its size."""

import itertools

from orn.shared.masks.coco_classes import COCO_CLASSES

HEIGHT, WIDTH = 120, 160
FRAMES, FRAMES_PER_SECOND = 8, 8

DISHES = ("bowl", "cup", "vase", "bottle")
"""Every film shows one of each; a hand takes one away, and another hand brings a different one."""
HAND = "person"
BYSTANDERS = (
    *("sports ball", "banana", "apple", "handbag", "potted plant"),
    *("toaster", "book", "cell phone", "mouse", "scissors"),
)
"""Classes of objects that do not move; with the others, 15 of the 80 COCO classes."""

LAMP = ("lamp on", "lamp off", "lamp steady")
"""What the lamp does: it is switched on, switched off, or neither."""
LABELS = tuple(f"{dish}: {lamp}" for dish, lamp in itertools.product(DISHES, LAMP))


def category_id(class_name: str) -> int:
    """Return the category id of a class: its index among the 80 COCO classes, from 1."""
    return COCO_CLASSES.index(class_name) + 1
