"""Change over time of the maps of an image network, in plain loops."""

import torch
from torch import Tensor


def changes(maps_BTChw: Tensor) -> Tensor:
    """Maps, then each one's absolute difference from the one before; the first has that of the
    second, or zeros if there is no second."""
    rows = []
    for maps_TChw in maps_BTChw:
        frames = []
        for time, map_Chw in enumerate(maps_TChw):
            if len(maps_TChw) == 1:
                change_Chw = torch.zeros_like(map_Chw)
            else:
                later = max(time, 1)
                change_Chw = (maps_TChw[later] - maps_TChw[later - 1]).abs()
            frames.append(torch.cat([map_Chw, change_Chw]))
        rows.append(torch.stack(frames))
    return torch.stack(rows)
