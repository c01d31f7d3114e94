"""Curves of `orn demo tables`: two systems against films, steps, frames, decoys and objects.

Curves meet in the points that they have in common, which are trained once: runs of table 2 are the
point of all films and of four frames, and the point of some films is that of the world as it is
drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo.experiments.table_comparison import VALIDATED_EVERY_EPOCHS, compare
from demo.experiments.table_request import TablesRequest
from demo.experiments.table_steps import World, curve_step, data_steps
from demo.steps import Step

__all__ = ["COMPARED", "CURVES", "curve_steps"]

COMPARED = ("activity-head", "orn")
"""The systems."""
_FRAMES_OF_THE_RECIPE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dial:
    """What worlds differ in."""

    name: str
    """Of its option of `orn demo world`, without the hyphens before it."""
    values: tuple[int, ...]
    """Those that a world is drawn for."""
    default: int
    """That of the world that all other experiments are on."""


_DIALS = {
    "decoys": _Dial(name="decoy-pairs", values=(0, 3), default=1),
    "objects": _Dial(name="distractors", values=(0, 4), default=1),
}
_MOST_OBJECTS = 12
"""Of a frame, so that none is left out in any of these worlds."""

CURVES = ("films", "steps", "frames", *_DIALS)
"""Experiments that end in a curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """One value of a curve."""

    value: int
    """Where it is."""
    steps: tuple[Step, ...]
    """What has to be done for it; the last one makes the report."""

    @property
    def report(self) -> Path:
        """As JSON."""
        return self.steps[-1].outputs[0].with_suffix(".json")


def curve_steps(
    experiment: str, request: TablesRequest, world: World, compared: Step
) -> list[Step]:
    """What a curve takes, those steps among them that it shares with others, and the curve.

    Args:
        experiment: one of `CURVES`.
        request: what was asked for.
        world: the world of table 2.
        compared: both systems on it, as in table 2.
    """
    if experiment == "films":
        name = "training films"
        points = [
            *(_some_films(request, world, number) for number in request.amounts.train_segments),
            _Point(value=_num_films(world.films), steps=(compared,)),
        ]
    elif experiment == "steps":
        name = "training steps"
        points = [
            _Point(value=_num_steps(request), steps=(compared,)),
            *(_longer(request, world, times) for times in request.amounts.times_as_long),
        ]
    elif experiment == "frames":
        name = "frames of a clip"
        points = [
            *(_some_frames(request, world, number) for number in request.amounts.clip_frames),
            _Point(value=_FRAMES_OF_THE_RECIPE, steps=(compared,)),
        ]
    else:
        dial = _DIALS[experiment]
        name = dial.name
        as_drawn = _some_films(request, world, _num_films(request.amounts.curve_films))
        points = [
            *(_another_world(request, world, dial, value) for value in dial.values),
            _Point(value=dial.default, steps=as_drawn.steps),
        ]
    points.sort(key=lambda point: point.value)
    reports = {str(point.value): point.report for point in points}
    return [
        *(step for point in points for step in point.steps),
        curve_step(world, experiment, name=name, reports=reports),
    ]


def _num_films(films: str) -> int:
    """To train on, of TRAIN,VALIDATION,TEST."""
    return int(films.partition(",")[0])


def _num_steps(request: TablesRequest, times_as_long: int = 1) -> int:
    """Of both phases."""
    amounts = request.amounts
    once = amounts.object_head_steps[request.dataset] + amounts.steps[request.dataset]
    return times_as_long * once


def _every_epochs(world: World, num_films: int) -> int:
    """So many that the validation part is read as often as with all films of the world."""
    return VALIDATED_EVERY_EPOCHS * _num_films(world.films) // num_films


def _some_films(request: TablesRequest, world: World, num_films: int) -> _Point:
    comparison = compare(
        request,
        world,
        f"films-{num_films}",
        systems=COMPARED,
        more=(f"data.train_segments={num_films}",),
        validated_every_epochs=_every_epochs(world, num_films),
    )
    return _Point(value=num_films, steps=(comparison,))


def _longer(request: TablesRequest, world: World, times: int) -> _Point:
    num_steps = _num_steps(request, times)
    comparison = compare(
        request,
        world,
        f"steps-{num_steps}",
        systems=COMPARED,
        times_as_long=times,
        validated_every_epochs=VALIDATED_EVERY_EPOCHS * times,
    )
    return _Point(value=num_steps, steps=(comparison,))


def _some_frames(request: TablesRequest, world: World, num_frames: int) -> _Point:
    more = (f"data.clip_frames={num_frames}",)
    comparison = compare(request, world, f"frames-{num_frames}", systems=COMPARED, more=more)
    return _Point(value=num_frames, steps=(comparison,))


def _another_world(request: TablesRequest, world: World, dial: _Dial, value: int) -> _Point:
    films = request.amounts.curve_films
    other = World(
        dataset=world.dataset,
        films=films,
        folder=world.folder,
        dials=(f"--{dial.name}", str(value)),
        variant=f"{dial.name}-{value}",
    )
    comparison = compare(
        request,
        other,
        "table2",
        systems=COMPARED,
        more=(f"data.max_objects={_MOST_OBJECTS}",),
        validated_every_epochs=_every_epochs(world, _num_films(films)),
    )
    return _Point(value=value, steps=(*data_steps(other), comparison))
