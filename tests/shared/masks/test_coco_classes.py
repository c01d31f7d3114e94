"""The class list against the known places of a few names."""

from orn.shared.masks.coco_classes import COCO_CLASSES, NUM_COCO_CLASSES


def test_eighty_different_names_in_order() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == NUM_COCO_CLASSES
    places = {0: "person", 3: "motorcycle", 39: "bottle", 57: "couch", 62: "tv", 79: "toothbrush"}
    assert {place: COCO_CLASSES[place] for place in places} == places
