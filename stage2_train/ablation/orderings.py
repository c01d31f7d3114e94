"""What the paper's tables say of pairs of systems, and what should hold of controls."""

from stage2_train.systems import SYSTEMS

_PARTS = tuple(
    system.name
    for system in SYSTEMS
    if system.table == 2 and system.settings["heads"] == "both" and system.name != "orn"
)
"""The other systems of two heads."""
ORDERINGS: tuple[tuple[str, str], ...] = (
    ("orn", "object-head"),
    ("activity-head", "object-head"),
    *(("orn", other) for other in ("activity-head", *_PARTS)),
    *(("object-head", f"{other}-object-head") for other in _PARTS),
    ("coco-visual-object-head", "coco-shape-object-head"),
    ("coco-visual-object-head", "coco-class-object-head"),
    ("inflation-10", "inflation-01"),
    ("inflation-10", "inflation-02"),
    ("inflation-10", "inflation-09"),
    ("inflation-02", "inflation-01"),
    ("inflation-09", "inflation-07"),
    ("orn", "r50"),
    ("orn", "r18"),
    ("orn", "i3d"),
    ("orn", "i3d-18"),
    ("orn", "c3d-avg"),
    ("orn", "trn-multiscale"),
)
"""What the paper's tables say: the first is better than the second."""
EXPECTED: tuple[tuple[str, str], ...] = (
    ("activity-head", "one-frame"),
    ("orn", "wide-activity-head"),
    ("orn", "shuffled-frames"),
    ("orn", "boxes"),
    ("orn", "mixed-classes"),
    ("orn", "late-fusion"),
    ("late-fusion", "activity-head"),
    ("late-fusion", "object-head"),
)
"""What should hold of controls if a system relies on what it is meant to rely on; and of two heads
that were trained apart."""
