"""Table 1 of the paper: average precision (in percent) for each class on the VLOG test set."""

TABLE_1_MAP = {"R50": 40.5, "I3D": 39.7, "Ours": 44.7}
"""Mean average precision in percent."""

_CLASSES = (
    "bag bed bedding book-or-papers bottle-tube bowl box brush cabinet cell-phone clothing cup "
    "door dresser-drawers food fork knife laptop microwave oven pen-or-pencil pillow plate "
    "refrigerator sink spoon stuffed-animal-or-doll table toothbrush towel"
)
_PERCENT = {
    "R50": "29.7 68.9 65.8 64.5 58.2 33.1 22.1 19.0 23.9 54.0 45.5 28.6 49.2 28.7 49.6 "
    "19.4 37.5 62.9 48.8 23.0 36.9 39.2 12.5 55.9 58.8 31.1 57.4 26.8 39.6 22.9",
    "I3D": "24.9 71.7 71.4 62.5 57.1 27.1 19.2 33.9 20.7 50.6 45.8 24.7 54.7 19.1 50.8 "
    "19.3 41.9 54.0 27.5 21.4 37.4 42.9 12.6 42.5 60.4 33.9 46.0 23.5 59.6 34.7",
    "Ours": "30.2 72.3 70.7 64.9 59.8 38.2 24.6 26.3 22.4 64.5 47.2 35.4 57.9 25.2 48.5 "
    "24.5 40.2 72.0 54.1 26.5 39.9 48.6 15.2 53.5 60.7 36.8 52.8 27.9 64.0 37.6",
}
TABLE_1 = {
    name: dict(zip(_CLASSES.split(), map(float, row.split()), strict=True))
    for name, row in _PERCENT.items()
}
"""Average precision in percent, by method and class."""
