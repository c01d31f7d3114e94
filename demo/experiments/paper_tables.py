"""`orn demo tables`: from nothing to the comparisons of docs/results.md on a world, as commands.

Pictures and first weights, where systems start from learned ones -> draw the world -> true
detections -> store clips -> leak report -> the experiments that were asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from demo.experiments.table_comparison import compare
from demo.experiments.table_curves import COMPARED, CURVES, curve_steps
from demo.experiments.table_request import EXPERIMENTS, TablesRequest
from demo.experiments.table_steps import (
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
from demo.steps import Step, StepRecord, run_steps
from demo.world.dials import ACTIVITIES
from stage2_train.ablation.rows import wide_activity_head
from stage2_train.training.recipe import load_recipe

__all__ = ["run_tables", "table_steps"]

_PAIR_SYSTEMS = ("object-head", "coco-intra-object-head", "clique-1-object-head")


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
    world = request.world(request.dataset)
    steps = [] if request.dataset == "demo-places" else _first_weights(request)
    steps += [*data_steps(world), leak_step(world)]
    for experiment in EXPERIMENTS[request.dataset]:
        if request.asks_for(experiment):
            steps += _experiment_steps(experiment, request, world)
    return _each_once(steps)


def _each_once(steps: Iterable[Step]) -> list[Step]:
    """Without the repeats of what experiments share."""
    return list({step.name: step for step in steps}.values())


def _first_weights(request: TablesRequest) -> list[Step]:
    pictures = request.world(PICTURES)
    return [*data_steps(pictures), *_learn_weights(request, request.weights)]


def _learn_weights(request: TablesRequest, weights: Path, *settings: str) -> list[Step]:
    """First weights from pictures that are drawn already."""
    return first_weights_steps(
        request.world(PICTURES),
        weights,
        num_steps=request.amounts.first_weights_steps,
        settings=(f"precision={request.precision}", *settings),
    )


def _experiment_steps(experiment: str, request: TablesRequest, world: World) -> list[Step]:
    """What an experiment adds to the steps."""
    if experiment == "table2":
        return [compare(request, world, "table2", systems=request.systems)]
    if experiment == "reversed":
        return _reversed_steps(request, world)
    if experiment == "table5":
        return [compare(request, world, "table5", table="5", systems=request.amounts.table5)]
    if experiment == "controls":
        return _control_steps(request, world)
    if experiment in CURVES:
        return curve_steps(experiment, request, world, _compared(request, world))
    return _pair_steps(request, world)


def _compared(request: TablesRequest, world: World) -> Step:
    """What curves need of table 2, in its folder, as a report of its own: that of the table stays,
    whichever rows it has."""
    name = "compared"
    return compare(request, world, name, systems=COMPARED, folder="table2", report=name)


def _control_steps(request: TablesRequest, world: World) -> list[Step]:
    """The table of controls, in the folder of table 2, which has some of its rows; and the activity
    head with as many parameters as both heads have, from first weights of its own width."""
    width = wide_activity_head(load_recipe("demo", num_activities=len(ACTIVITIES)))
    wide = (f"model.base_width={width}",)
    weights = request.weights.with_stem(f"{request.weights.stem}-wide")
    return [
        compare(request, world, "controls", table="controls", systems=(), folder="table2"),
        *_learn_weights(request, weights, *wide),
        compare(request, world, "wide", systems=("activity-head",), more=wide, weights=weights),
    ]


def _reversed_steps(request: TablesRequest, world: World) -> list[Step]:
    """The runs of orn in table 2, where it is among the systems; without the table, runs for this
    alone."""
    if request.asks_for("table2"):
        if request.systems and "orn" not in request.systems:
            return []
        steps = []
    else:
        steps = [_compared(request, world)]
    runs = ablation_folder(world, "table2") / "orn"
    return [*steps, *(reverse_step(runs / f"seed{seed}") for seed in range(request.num_seeds))]


def _pair_steps(request: TablesRequest, world: World) -> list[Step]:
    """Object heads that see masks and classes alone, with a recurrence and without one."""
    amounts = request.amounts
    settings = (
        'model.object_parts=["shape","class"]',
        f"precision={request.precision}",
        "data.clip_frames=2",
        # Seen often, few films are learned sooner than many (docs/results.md).
        f"data.train_segments={amounts.pair_films}",
        f"optimiser.batch_size={amounts.pair_batch}",
        "validation.every_epochs=1000",  # only at the end
        f"phases.steps={amounts.steps[request.dataset]}",
        "phases.object_head_steps=0",
    )
    kinds = (("recurrent", ()), ("summed", ("model.reasoning=mlp",)))
    return [
        ablation_step(
            world,
            Ablation(
                title=f"Train and measure object heads on {world.name}, {kind}",
                name=f"pairs-{kind}",
                folder=f"pairs-{kind}",
                table="2",
                systems=_PAIR_SYSTEMS,
                settings=(*settings, *more),
                num_seeds=request.num_seeds,
                jobs=request.jobs,
            ),
        )
        for kind, more in kinds
    ]
