"""How much `orn demo tables` draws and trains: in full, or just enough to show that it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from demo.experiments.table_steps import PICTURES

__all__ = ["SIZES", "TableSize", "TableWorld"]

TableWorld = Literal["demo", "demo-touch", "demo-places"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """How much is drawn and trained."""

    films: dict[str, str]
    """TRAIN,VALIDATION,TEST of each data set."""
    curve_films: str
    """TRAIN,VALIDATION,TEST of worlds that differ in a dial."""
    first_weights_steps: int
    """Of the ResNet that all systems start from."""
    object_head_steps: dict[TableWorld, int]
    """Of the object head alone, in systems of two heads."""
    steps: dict[TableWorld, int]
    """Of both heads; a system of one head has as many as both phases together."""
    pair_batch: int
    """Clips of a batch where pairs are compared without pixels."""
    pair_films: int
    """Films to train on there."""
    table5: tuple[str, ...]
    """Rows of table 5."""
    train_segments: tuple[int, ...]
    """Numbers of films to train on, less than all; that of `curve_films` among them."""
    times_as_long: tuple[int, ...]
    """Numbers of times that a training is as long as others."""
    clip_frames: tuple[int, ...]
    """Numbers of frames of a clip, other than that of the recipe."""


SIZES = {
    "full": TableSize(
        films={
            "demo": "4000,400,1000",
            "demo-touch": "4000,400,1000",
            "demo-places": "4000,400,1000",
            PICTURES: "2400,200,0",
        },
        curve_films="2000,400,1000",
        first_weights_steps=2500,
        object_head_steps={"demo": 500, "demo-touch": 500, "demo-places": 0},
        steps={"demo": 1100, "demo-touch": 1500, "demo-places": 5000},
        pair_batch=32,
        pair_films=500,
        table5=("inflation-01", "inflation-02", "inflation-09", "inflation-10"),
        train_segments=(500, 1000, 2000),
        times_as_long=(2,),
        clip_frames=(2, 8),
    ),
    "short": TableSize(
        films={
            "demo": "48,24,24",
            "demo-touch": "24,12,12",
            "demo-places": "24,12,12",
            PICTURES: "24,12,0",
        },
        curve_films="24,12,12",
        first_weights_steps=2,
        object_head_steps={"demo": 1, "demo-touch": 1, "demo-places": 0},
        steps={"demo": 2, "demo-touch": 2, "demo-places": 2},
        pair_batch=8,
        pair_films=24,
        table5=("inflation-01", "inflation-10"),
        train_segments=(24,),
        times_as_long=(2,),
        clip_frames=(2,),
    ),
}
