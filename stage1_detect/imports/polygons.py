"""Fill polygons: convert the outlines of an object to a mask."""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

_MOST_OUTLINE = 2**20
"""Maximum perimeter in pixels of an object's polygons; each pixel takes 100 bytes to fill."""


def fill_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> bytes:
    """Return the mask of an object as compressed run lengths.

    Args:
        polygons: x and y of each corner, in pixels.
        height: height of the grid.
        width: width of the grid.

    Raises:
        ValueError: if a corner has no y, or the perimeter is too long.
    """
    outline = 0.0
    for polygon in polygons:
        if len(polygon) % 2:
            raise ValueError(f"expected x and y of each corner, got {len(polygon)} numbers")
        corners = np.reshape(polygon, (-1, 2))
        outline += float(abs(corners - np.roll(corners, 1, axis=0)).sum())
    if outline > _MOST_OUTLINE:
        raise ValueError(f"expected a perimeter up to {_MOST_OUTLINE:,} px, got {outline:,.0f}")
    filled = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    counts: bytes = filled["counts"]
    return counts
