"""`orn demo-tables`: from nothing to the comparisons of docs/results.md on a world, as commands.

Pictures and first weights, where systems start from learned ones -> draw the world -> true
detections -> store clips -> leak report -> the experiments that were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_manifests.demo.dials import ACTIVITIES
from data_manifests.demo.steps import Step, StepRecord, run_steps
from data_manifests.demo.table_sizes import SIZES, TableWorld
from data_manifests.demo.table_steps import (
    PICTURES,
    Ablation,
    World,
    ablation_folder,
    ablation_step,
    data_steps,
    first_weights_steps,
    leak_step,
    reverse_step,
)
from shared.errors import ConfigError
from stage2_train.ablation.rows import wide_activity_head
from stage2_train.training.recipe import load_recipe

__all__ = ["EXPERIMENTS", "MAIN_SYSTEMS", "TablesRequest", "run_tables", "table_steps"]

Precision = Literal["fp32", "bf16"]

EXPERIMENTS: dict[TableWorld, tuple[str, ...]] = {
    "demo": ("table2", "reversed", "table5", "controls", "films", "frames", "decoys", "objects"),
    "demo-touch": ("table2",),
    "demo-places": ("pairs",),
}
"""What can be measured on each world, in this order."""
_BY_DEFAULT = ("table2", "reversed", "table5", "pairs")
MAIN_SYSTEMS = (
    "activity-head",
    "orn",
    "object-head",
    "coco-visual-object-head",
    "coco-class-object-head",
    "coco-shape-object-head",
)
_PAIR_SYSTEMS = ("object-head", "coco-intra-object-head", "clique-1-object-head")
_COMPARED = ("activity-head", "orn")
_DIALS = {
    "demo-touch": ("--objects", "6", "--classes", "6", "--pull", "30", "--camera", "0"),
    "demo-places": ("--columns", "3", "--owners", "2", "--balls", "2"),
}
"""Worlds are as `orn demo-world` draws them but for these, settled on validation parts."""
_WORLD_CURVES = {
    "decoys": tuple(("--decoy-pairs", str(number)) for number in (0, 1, 3)),
    "objects": tuple(("--distractors", str(number)) for number in (0, 2, 4)),
}
"""Experiments that draw a world a value of a dial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesRequest:
    """What `orn demo-tables` was asked for."""

    dataset: TableWorld
    """The world."""
    size: Literal["full", "short"]
    """One of `SIZES`."""
    experiments: tuple[str, ...] = ()
    """Some of `EXPERIMENTS`; those of the main claims if empty."""
    systems: tuple[str, ...] = MAIN_SYSTEMS
    """Rows of table 2; all of them if empty."""
    precision: Precision = "fp32"
    """Of all trainings."""
    num_seeds: int = 3
    """Seeds of each system."""
    jobs: int = 1
    """Trainings at the same time."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming an experiment that the world does not have."""
        known = EXPERIMENTS[self.dataset]
        for name in self.experiments:
            if name not in known:
                raise ConfigError(
                    f"--experiments: wanted some of {', '.join(known)} for {self.dataset}, "
                    f"found {name!r}"
                )

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return Path("tables") if self.size == "full" else Path("tables-short")

    def asks_for(self, experiment: str) -> bool:
        """Whether an experiment is to be made."""
        return experiment in (self.experiments or _BY_DEFAULT)


def run_tables(request: TablesRequest) -> tuple[Path, ...]:
    """Runs what is not done.

    Returns:
        The reports, as Markdown.

    Raises:
        PipelineError: if a step failed; it has said why.
    """
    record = StepRecord(request.folder / f"steps-{request.dataset}.json")
    steps = table_steps(request)
    run_steps(steps, record)
    return tuple(path for step in steps for path in step.outputs if path.suffix == ".md")


def table_steps(request: TablesRequest) -> list[Step]:
    """The commands in order; those of the first weights are the same for each world that needs
    them."""
    world = _world(request, request.dataset)
    steps = [] if request.dataset == "demo-places" else _first_weights(request)
    steps += [*data_steps(world), leak_step(world)]
    for experiment in EXPERIMENTS[request.dataset]:
        if request.asks_for(experiment):
            steps += _experiment_steps(experiment, request, world)
    return steps


def _world(request: TablesRequest, dataset: str) -> World:
    return World(
        dataset=dataset,
        films=SIZES[request.size].films[dataset],
        folder=request.folder,
        dials=_DIALS.get(dataset, ()),
    )


def _first_weights(request: TablesRequest) -> list[Step]:
    pictures = _world(request, PICTURES)
    return [*data_steps(pictures), *_learn_weights(request, _weights(request))]


def _learn_weights(request: TablesRequest, weights: Path, *settings: str) -> list[Step]:
    """First weights from pictures that are drawn already."""
    return first_weights_steps(
        _world(request, PICTURES),
        weights,
        num_steps=SIZES[request.size].first_weights_steps,
        settings=(f"precision={request.precision}", *settings),
    )


def _weights(request: TablesRequest, name: str = "first-weights") -> Path:
    return request.folder / f"{name}.pth"


def _experiment_steps(experiment: str, request: TablesRequest, world: World) -> list[Step]:
    """What an experiment adds to the steps."""
    size = SIZES[request.size]
    if experiment == "table2":
        return [_compare(request, world, experiment, systems=request.systems)]
    if experiment == "reversed":
        return _reversed_steps(request, world)
    if experiment == "table5":
        return [_compare(request, world, experiment, table="5", systems=size.table5)]
    if experiment == "controls":
        return _control_steps(request, world)
    if experiment == "films":
        vary = f"data.train_segments={size.train_segments}"
        return [_compare(request, world, experiment, systems=_COMPARED, vary=vary)]
    if experiment == "frames":
        vary = f"data.clip_frames={size.clip_frames}"
        return [_compare(request, world, experiment, systems=_COMPARED, vary=vary)]
    if experiment == "pairs":
        return _pair_steps(request, world)
    return _world_curve_steps(experiment, request)


def _compare(
    request: TablesRequest,
    world: World,
    experiment: str,
    *,
    table: Literal["2", "5", "controls"] = "2",
    systems: Sequence[str],
    vary: str | None = None,
    more: tuple[str, ...] = (),
    weights: Path | None = None,
) -> Step:
    """Systems that start from the first weights, or from others, under one schedule."""
    size = SIZES[request.size]
    settings = (
        "initial_weights=imagenet",
        f"precision={request.precision}",
        # Only at the end of a phase where epochs differ in length.
        f"validation.every_epochs={4 if vary is None else 1000}",
        f"phases.object_head_steps={size.object_head_steps[request.dataset]}",
        f"phases.steps={size.steps[request.dataset]}",
        *more,
    )
    ablation = Ablation(
        title=f"Train and measure {experiment} on {world.name} with {request.num_seeds} seeds",
        name=experiment,
        table=table,
        systems=tuple(systems),
        settings=settings,
        vary=vary,
        weights=weights or _weights(request),
        num_seeds=request.num_seeds,
        jobs=request.jobs,
    )
    return ablation_step(world, ablation)


def _control_steps(request: TablesRequest, world: World) -> list[Step]:
    """The table of controls; and the activity head with as many parameters as both heads have, from
    first weights of its own width."""
    width = wide_activity_head(load_recipe("demo", num_activities=len(ACTIVITIES)))
    wide = (f"model.base_width={width}",)
    weights = _weights(request, "first-weights-wide")
    return [
        _compare(request, world, "controls", table="controls", systems=()),
        *_learn_weights(request, weights, *wide),
        _compare(request, world, "wide", systems=("activity-head",), more=wide, weights=weights),
    ]


def _reversed_steps(request: TablesRequest, world: World) -> list[Step]:
    """The runs of orn in table 2, where it is among the systems."""
    if request.systems and "orn" not in request.systems:
        return []
    runs = ablation_folder(world, "table2") / "orn"
    return [reverse_step(runs / f"seed{seed}") for seed in range(request.num_seeds)]


def _pair_steps(request: TablesRequest, world: World) -> list[Step]:
    """Object heads that see masks and classes alone, with a recurrence and without one."""
    size = SIZES[request.size]
    settings = (
        'model.object_parts=["shape","class"]',
        f"precision={request.precision}",
        "data.clip_frames=2",
        # Seen often, few films are learned sooner than many (docs/results.md).
        f"data.train_segments={size.pair_films}",
        f"optimiser.batch_size={size.pair_batch}",
        "validation.every_epochs=1000",  # only at the end
        f"phases.steps={size.steps[request.dataset]}",
        "phases.object_head_steps=0",
    )
    kinds = (("recurrent", ()), ("summed", ("model.reasoning=mlp",)))
    return [
        ablation_step(
            world,
            Ablation(
                title=f"Train and measure object heads on {world.name}, {kind}",
                name=f"pairs-{kind}",
                table="2",
                systems=_PAIR_SYSTEMS,
                settings=(*settings, *more),
                num_seeds=request.num_seeds,
                jobs=request.jobs,
            ),
        )
        for kind, more in kinds
    ]


def _world_curve_steps(experiment: str, request: TablesRequest) -> list[Step]:
    """The main systems on worlds that differ in one dial."""
    steps = []
    for dial in _WORLD_CURVES[experiment]:
        world = World(
            dataset=request.dataset,
            films=SIZES[request.size].curve_films,
            folder=request.folder,
            dials=dial,
            variant="".join(dial).strip("-"),
        )
        steps += [*data_steps(world), _compare(request, world, experiment, systems=_COMPARED)]
    return steps
