"""The systems in the paper's tables, by name, and the network settings that define them.

A system determines what a network computes; the recipe determines its widths and its training. The
fourteen rows of Table 5 are reconstructed; docs/train.md explains how, and which are certain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from orn.shared.errors import ConfigError
from orn.shared.text import nearest

PAPER_MODEL: Mapping[str, Any] = MappingProxyType(
    {
        "architecture": "object_video",
        "heads": "both",
        "kernels": ["2.5d", "2d", "2d", "2d", "2.5d"],
        "temporal_initialization": "identity",
        "aggregation": "rnn",
        "objects": "detections",
        "object_parts": ["shape", "appearance", "class"],
        "clique_size": 2,
        "relation_frames": "earlier",
        "reasoning": "rnn",
    }
)
"""Settings in section `model` that a system determines, with the values of the proposed system."""


class PaperFigure(NamedTuple):
    """A result of a system, as printed in the paper."""

    table: int
    """Number of the table."""
    row: int
    """Row in the table, from 1."""
    dataset: str
    """Name of the manifest: epic, vlog or something."""
    printed: str
    """The result in percent, as printed: top-1 accuracy, or mean average precision for vlog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of the paper's tables."""

    name: str
    """Value of the option `--system`."""
    title: str
    """Short description."""
    changes: Mapping[str, Any]
    """Settings that differ from the proposed system."""
    figures: tuple[PaperFigure, ...]
    """Results in the paper; the first result is from the table that introduces the system."""

    @property
    def table(self) -> int:
        """Number of the table that introduces the system."""
        return self.figures[0].table

    @property
    def settings(self) -> dict[str, Any]:
        """Settings in section `model` of a recipe that define this system."""
        return {**PAPER_MODEL, **self.changes}

    def paper(self, table: int | None = None) -> dict[str, str]:
        """Return the results printed in a table, by data set; None selects `self.table`."""
        number = self.table if table is None else table
        return {figure.dataset: figure.printed for figure in self.figures if figure.table == number}


_NO_PAIRS = {"pair_geometry": False}
"""For systems without pairs of boxes, whatever the recipe has."""
_CELLS = {"objects": "cells", "relation_pooling": "sum", **_NO_PAIRS}
_SINGLE_OBJECTS = {"clique_size": 1, "relation_frames": "same", **_NO_PAIRS}
_TRIPLES = {"clique_size": 3, **_NO_PAIRS}
_FRAMES_AVERAGED = {"kernels": ["2d"] * 5, "aggregation": "mean"}

# Table 2: row, name, title, changes, results of the object head alone, results of both heads.
_TABLE2: tuple[tuple[int, str, str, Mapping[str, Any], str, str], ...] = (
    (2, "orn-pixel", "cells of the feature map as objects", _CELLS, "23.71 14.40 2.51",
     "38.83 35.18 31.43"),
    (3, "orn", "the proposed system", {}, "29.94 27.14 10.26", "40.89 37.49 32.12"),
    (4, "orn-mlp", "an MLP in place of the recurrence over relations", {"reasoning": "mlp"},
     "28.15 25.40", "39.41 36.35"),
    (5, "coco-visual", "objects by appearance only", {"object_parts": ["appearance"]},
     "28.45 22.92", "38.92 35.49"),
    (6, "coco-shape", "objects by mask only", {"object_parts": ["shape"]}, "21.92 7.18",
     "37.16 35.39"),
    (7, "coco-class", "objects by class only", {"object_parts": ["class"]}, "21.96 13.40",
     "37.75 35.94"),
    (8, "coco-intra", "pairs of objects inside one frame", {"relation_frames": "same"},
     "29.25 26.78", "38.10 36.28"),
    (9, "clique-1", "single objects", _SINGLE_OBJECTS, "28.25 26.48", "40.18 36.71"),
    (10, "clique-3", "triples of objects", _TRIPLES, "22.61 27.05", "37.67 36.04"),
)  # fmt: skip

# Table 5, in printed order: kernels of conv1 to conv5, aggregation, top-1 accuracy.
_TABLE5: tuple[tuple[str, str, str], ...] = (
    ("2d 2d 2d 2d 2d", "mean", "15.73"),
    ("2d 2d 2d 2d 2d", "rnn", "15.88"),
    ("3d 3d 3d 3d 3d", "mean", "31.42"),
    ("2.5d 2.5d 2.5d 2.5d 2.5d", "mean", "27.58"),
    ("2d 2d 2d 2d 3d", "mean", "31.28"),
    ("2d 2d 2d 3d 3d", "mean", "32.06"),
    ("2d 2d 2d 2d 2.5d", "mean", "32.25"),
    ("2d 2d 2d 2.5d 2.5d", "mean", "31.31"),
    ("2d 2d 2d 2d 2.5d", "rnn", "32.79"),
    ("2.5d 2d 2d 2d 2.5d", "rnn", "33.77"),
    ("3d 2d 2d 2d 2d", "mean", "28.71"),
    ("3d 3d 2d 2d 2d", "mean", "31.42"),
    ("2.5d 2d 2d 2d 2d", "mean", "20.05"),
    ("2.5d 2.5d 2d 2d 2d", "mean", "22.52"),
)

_BASELINES: tuple[tuple[str, str, Mapping[str, Any], tuple[PaperFigure, ...]], ...] = (
    ("r50", "ResNet-50 of each frame, averaged", {"backbone": "resnet50", **_FRAMES_AVERAGED},
     (PaperFigure(1, 1, "vlog", "40.5"),)),
    ("i3d", "Inception-v1 with 3D kernels",
     {"architecture": "i3d", "temporal_initialization": "replicate"},
     (PaperFigure(1, 2, "vlog", "39.7"), PaperFigure(3, 2, "something", "27.63"))),
    ("c3d-avg", "C3D, averaged over time", {"architecture": "c3d"},
     (PaperFigure(3, 1, "something", "21.50"),)),
    ("trn-multiscale", "temporal relations of 2 to T frames",
     {"architecture": "trn", "kernels": ["2d"] * 5}, (PaperFigure(3, 3, "something", "33.60"),)),
    ("r18", "ResNet-18 of each frame, averaged", {"backbone": "resnet18", **_FRAMES_AVERAGED},
     (PaperFigure(4, 1, "epic", "32.05"),)),
    ("i3d-18", "ResNet-18 with 3D kernels, averaged",
     {"backbone": "resnet18", "kernels": ["3d"] * 5, "temporal_initialization": "replicate",
      "aggregation": "mean"}, (PaperFigure(4, 2, "epic", "34.20"),)),
)  # fmt: skip
_ELSEWHERE = (
    PaperFigure(1, 3, "vlog", "44.7"),
    PaperFigure(3, 4, "something", "35.97"),
    PaperFigure(4, 3, "epic", "40.89"),
)
"""Results of the proposed system outside Table 2."""


def _system(name: str, title: str, changes: Mapping[str, Any], row: int, printed: str) -> System:
    """Return a system in Table 2; `printed` contains its results on EPIC, VLOG and (possibly
    missing) Something-Something."""
    datasets = zip(("epic", "vlog", "something"), printed.split(), strict=False)
    figures = tuple(PaperFigure(2, row, *dataset) for dataset in datasets)
    figures += _ELSEWHERE if name == "orn" else ()
    return System(name=name, title=title, changes=changes, figures=figures)


def _all_systems() -> Iterator[System]:
    activity = {"heads": "activity"}
    yield _system("activity-head", "the activity head alone", activity, 1, "38.33 35.03 31.31")
    for row, name, title, changes, _, printed in _TABLE2:
        yield _system(name, f"{title}, both heads", changes, row, printed)
    for row, name, title, changes, printed, _ in _TABLE2:
        alone = "object-head" if name == "orn" else f"{name}-object-head"
        title = f"{title}, object head alone"
        yield _system(alone, title, {**changes, "heads": "object"}, row, printed)
    for name, title, changes, figures in _BASELINES:
        yield System(name=name, title=title, changes={**activity, **changes}, figures=figures)
    for row, (kernels, aggregation, printed) in enumerate(_TABLE5, start=1):
        own = {"kernels": kernels.split(), "aggregation": aggregation}
        # "replicate" as in the work that the paper cites for 3D kernels
        yield System(
            name=f"inflation-{row:02}",
            title=f"conv1 to conv5: {kernels}; {'GRU' if aggregation == 'rnn' else 'mean'}",
            changes={**activity, **own, "temporal_initialization": "replicate"},
            figures=(PaperFigure(5, row, "something", printed),),
        )


SYSTEMS = tuple(_all_systems())
"""All systems: the rows of Table 2, the baselines in Tables 1, 3 and 4, and the rows of Table 5."""


def system_names() -> tuple[str, ...]:
    """Return the names of all systems, in the order of `SYSTEMS`."""
    return tuple(system.name for system in SYSTEMS)


def find_system(name: str) -> System:
    """Return the system with this name.

    Raises:
        ConfigError: if it does not exist; suggests the most similar name.
    """
    for system in SYSTEMS:
        if system.name == name:
            return system
    near = nearest(name, system_names())
    raise ConfigError(
        f"system {name!r}: unknown system; did you mean {near!r}? docs/train.md lists all"
    )
