"""The experiments of `orn demo tables`.

An experiment is a function that adds comparisons to `Tables`, one command each. All training runs
on a data set use the same number of steps, unless the experiment varies it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orn.demo.experiments.request import TablesRequest
from orn.demo.experiments.tables import DrawnData, Tables
from orn.shared.errors import ConfigError
from orn.shared.jobs.commands import Job, is_done, run_jobs
from orn.stage2_train.ablation.plan import table_rows
from orn.stage2_train.recipe import load_recipe

_MAIN_SYSTEMS = (
    "activity-head",
    "orn",
    "object-head",
    "coco-visual-object-head",
    "coco-class-object-head",
    "coco-shape-object-head",
)
"""Rows of table 2 that test the main claims."""
_TWO = ("activity-head", "orn")
_THREE = ("activity-head", "orn", "object-head")
_BETTER_THAN_EITHER = ("orn:object-head", "orn:activity-head")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment for the option `--experiments`."""

    make: Callable[[Tables], object]
    worlds: tuple[str, ...] = ("demo",)
    """Data sets that it supports."""


def _table2(tables: Tables) -> None:
    """Reproduce table 2 of the paper: pixels, objects, and relations between objects."""
    chosen = tables.request.systems or _MAIN_SYSTEMS
    chosen = () if chosen == ("all",) else chosen
    table_rows("2", chosen, load_recipe("demo", num_activities=1))  # rejects unknown systems
    tables.compare("table2", systems=chosen)


def _compared(tables: Tables) -> str:
    """Compare two systems in the folder of table 2: the point that all curves share."""
    return tables.compare("compared", folder="table2", report="compared", systems=_TWO)


def _reversed(tables: Tables) -> None:
    """Evaluate orn on reversed films."""
    _compared(tables)
    tables.measure_backwards("orn", folder="table2")


def _table5(tables: Tables) -> None:
    """Reproduce table 5 of the paper: which blocks are inflated."""
    every = ("inflation-01", "inflation-02", "inflation-09", "inflation-10")
    tables.compare("table5", table="5", systems=every if tables.is_full else every[::3])


def _controls(tables: Tables) -> None:
    """Run controls: one frame, shuffled frames, boxes, mixed classes, a larger activity head."""
    tables.compare("controls", table="controls", folder="table2")
    wide = ("model.base_width=24",)  # about as many parameters as both heads together
    tables.compare(
        "wide",
        systems=("activity-head",),
        settings=wide,
        weights=tables.initial_weights("initial-weights-wide", wide),
    )


def _classes(tables: Tables) -> None:
    """Test whether orn relies on classes: in its input, in the appearance loss, or both."""
    shuffled, no_loss = "data.controls.object_classes=shuffled", "losses.object_loss_weight=0.0"
    variants = {
        "plain": (),
        "shuffled": (shuffled,),
        "no-class-loss": (no_loss,),
        "neither": (shuffled, no_loss),
    }
    tables.compare(
        "classes",
        folder="table2",  # shares the default runs
        report="classes",
        systems=("orn",),
        variants=variants,
        primary=tuple(f"orn@plain:orn@{name}" for name in list(variants)[1:]),
    )


def _heads(tables: Tables) -> None:
    """Find the settings that make two heads at least as good as the better single head.

    Each variant changes one setting of the recipe; the last one combines three of them. Variants
    share the runs that they do not change.
    """
    all_steps = tables.world.object_head_steps + tables.world.steps
    third = all_steps // 3
    torch_start, stride = "model.mlp_initialization=torch", "model.conv5_activity_stride=2"
    loss_of_mean = "losses.each_head_loss_weight=0.0"
    tables.compare(
        "heads",
        folder="table2",  # shares the default runs
        report="heads",
        systems=_THREE,
        variants={
            "plain": (),
            "torch-start@orn,object-head": (torch_start,),
            "loss-of-mean-alone@orn": (loss_of_mean,),
            "layer-norm@orn,object-head": ("model.normalise_hidden=true",),
            "best-handed-over@orn": ("phases.warm_start=best", "validation.every_epochs=1"),
            "frozen-first@orn": ("phases.object_head_trains_resnet=false",),
            # both heads from the first step
            "one-phase@orn": ("phases.object_head_steps=0", f"phases.steps={all_steps}"),
            "joint@orn": ("model.head_combination=joint",),
            "long-first@orn": (
                f"phases.object_head_steps={all_steps - third}",
                f"phases.steps={third}",
            ),
            "stride-2@activity-head,orn": (stride,),
            "torch-start-loss-of-mean-alone-stride-2": (torch_start, loss_of_mean, stride),
        },
        late_fusion=True,
        primary=_BETTER_THAN_EITHER,
    )


def _steps(tables: Tables) -> None:
    """Compare each head and both heads against the number of steps and the training time."""
    points = {}
    for times in (1, 2, 4):
        name = f"times-{times}"
        points[times] = tables.compare(
            name,
            folder="table2" if times == 1 else name,
            report=name if times == 1 else None,
            systems=_THREE,
            times_as_long=times,
            primary=_BETTER_THAN_EITHER,
        )
    tables.draw_curve("steps", "times the steps", points, over_seconds=True)


def _with_films(tables: Tables, number: int) -> str:
    """Compare two systems trained on the given number of films."""
    return tables.compare(f"films-{number}", systems=_TWO, train_films=number)


def _films(tables: Tables) -> None:
    """Compare two systems against the number of training films."""
    numbers = (500, 1000, 2000) if tables.is_full else (24,)
    points = {number: _with_films(tables, number) for number in numbers}
    points[tables.world.films[0]] = _compared(tables)
    tables.draw_curve("films", "training films", points)


def _frames(tables: Tables) -> None:
    """Compare two systems against the number of frames per clip, which is 4 in the recipe."""
    points = {
        number: tables.compare(
            f"frames-{number}", systems=_TWO, settings=(f"data.clip_frames={number}",)
        )
        for number in ((2, 8) if tables.is_full else (2,))
    }
    tables.draw_curve("frames", "frames of a clip", points | {4: _compared(tables)})


def _detected(tables: Tables) -> None:
    """Measure the object head against the number of a film's 12 frames with detections.

    With two heads, the activity head would hide what is lost.
    """
    systems = ("object-head",)
    points = {
        12: tables.compare("detected-12", folder="table2", report="detected", systems=systems)
    }
    for number in (4, 2, 1) if tables.is_full else (2,):
        data = tables.with_detections_in(number)
        points[number] = tables.compare(f"detected-{number}", systems=systems, data=data)
    tables.draw_curve("detected", "detected frames", points)


def _decoys(tables: Tables) -> None:
    """Compare two systems against the number of decoy pairs."""
    _vary_parameter(tables, "decoys", "decoy-pairs", numbers=(0, 3))


def _objects(tables: Tables) -> None:
    """Compare two systems against the number of distractors."""
    _vary_parameter(tables, "objects", "distractors", numbers=(0, 4))


def _vary_parameter(tables: Tables, name: str, parameter: str, *, numbers: tuple[int, ...]) -> None:
    films = (2000, 400, 1000) if tables.is_full else (24, 12, 12)
    points = {1: _with_films(tables, films[0])}  # both parameters are 1 by default
    for number in numbers:
        data = DrawnData(
            dataset="demo",
            films=films,
            parameters=(f"--{parameter}", str(number)),
            folder=tables.request.folder,
            variant=f"{parameter}-{number}",
        )
        points[number] = tables.compare(
            "table2",
            systems=_TWO,
            settings=("data.max_objects=12",),  # enough for all objects of these films
            data=data,
        )
    tables.draw_curve(name, parameter, points)


def _pairs(tables: Tables) -> None:
    """Compare object heads that use masks and classes only, with and without recurrence."""
    systems = ("object-head", "coco-intra-object-head", "clique-1-object-head")
    tables.compare("pairs-recurrent", systems=systems, weights=None)
    summed = ("model.reasoning=mlp",)
    tables.compare("pairs-summed", systems=systems, settings=summed, weights=None)


def _relations(tables: Tables) -> None:
    """Remove self-pairs of objects, or pairs of different objects, from an object head."""
    only = {
        "different-objects": ("model.relation_pairs=different_objects",),
        "same-object": ("model.relation_pairs=same_object",),
    }
    uses_images = tables.request.dataset != "demo-places"
    tables.compare(
        "relations",
        folder="table2" if uses_images else "pairs-recurrent",  # shares the default runs
        report="relations",
        systems=("object-head",),
        variants={"plain": (), **only},
        primary=tuple(f"object-head@plain:object-head@{name}" for name in only),
        weights=tables.initial_weights() if uses_images else None,
    )


def _both(tables: Tables) -> None:
    """Compare each head with both heads, where only both can predict the label.

    The activity head alone is trained for the steps of the second phase, which are enough to reach
    its maximum accuracy.
    """
    tables.compare(
        "both",
        report="both",
        systems=_THREE,
        variants={"plain@activity-head": ("phases.object_head_steps=0",)},
        times_the_seeds=2,
        late_fusion=True,
        primary=_BETTER_THAN_EITHER,
        weights=None,
    )


def _both_parts(tables: Tables) -> None:
    """Remove pairs across frames, pairs, shapes, classes, or all other frames from relations."""
    one_object = ("model.clique_size=1", "model.relation_frames=same")
    less = {
        "pairs-inside-a-frame": ("model.relation_frames=same",),
        "single-objects": one_object,
        "class-only": ('model.object_parts=["class"]',),
        "shape-only": ('model.object_parts=["shape"]',),
        "one-frame": ("data.clip_frames=1", "model.relation_frames=same"),
    }
    tables.compare(
        "parts",
        folder="both",  # shares the default runs
        report="parts",
        systems=("orn",),
        variants={"plain": (), **less},
        primary=tuple(f"orn@plain:orn@{name}" for name in less),
        weights=None,
    )


def _both_films(tables: Tables) -> None:
    """Compare two heads with the object head against the number of training films."""
    systems = ("orn", "object-head")
    points = {
        number: tables.compare(f"films-{number}", systems=systems, train_films=number, weights=None)
        for number in ((500, 1000, 2000) if tables.is_full else (12,))
    }
    points[tables.world.films[0]] = tables.compare(
        "both-compared", folder="both", report="compared", systems=systems, weights=None
    )
    tables.draw_curve("films", "training films", points)


_BOTH_DEMOS = ("demo", "demo-touch")
EXPERIMENTS = MappingProxyType(
    {
        "table2": Experiment(make=_table2, worlds=_BOTH_DEMOS),
        "reversed": Experiment(make=_reversed),
        "table5": Experiment(make=_table5),
        "compared": Experiment(make=_compared),
        "controls": Experiment(make=_controls),
        "classes": Experiment(make=_classes),
        "heads": Experiment(make=_heads, worlds=_BOTH_DEMOS),
        "steps": Experiment(make=_steps, worlds=_BOTH_DEMOS),
        "films": Experiment(make=_films),
        "frames": Experiment(make=_frames),
        "detected": Experiment(make=_detected, worlds=_BOTH_DEMOS),
        "decoys": Experiment(make=_decoys),
        "objects": Experiment(make=_objects),
        "relations": Experiment(make=_relations, worlds=(*_BOTH_DEMOS, "demo-places")),
        "pairs": Experiment(make=_pairs, worlds=("demo-places",)),
        "both": Experiment(make=_both, worlds=("demo-both",)),
        "parts": Experiment(make=_both_parts, worlds=("demo-both",)),
        "both-films": Experiment(make=_both_films, worlds=("demo-both",)),
    }
)


def table_jobs(request: TablesRequest) -> list[Job]:
    """Return the jobs for a request in order; experiments share common jobs."""
    tables = Tables(request)
    known = [name for name, each in EXPERIMENTS.items() if request.dataset in each.worlds]
    for name in request.experiments or tables.world.by_default:
        if name not in known:
            raise ConfigError(
                f"--experiments: expected experiments for {request.dataset}, got {name!r}; choose "
                f"from {', '.join(known)}"
            )
        EXPERIMENTS[name].make(tables)
    return tables.jobs


def run_tables(request: TablesRequest) -> tuple[Path, ...]:
    """Run the missing jobs; return the paths of the Markdown reports."""
    jobs = table_jobs(request)
    run_jobs(jobs, record=_record(request))
    outputs = (job.output.with_suffix(".md") for job in jobs if job.output is not None)
    return tuple(path for path in outputs if path.exists())


def describe_tables(request: TablesRequest) -> dict[str, Any]:
    """Return the jobs for a request as a JSON object."""
    return {
        "folder": str(request.folder),
        "jobs": [
            {"name": job.name, "done": is_done(job, _record(request)), "command": job.typed}
            for job in table_jobs(request)
        ],
    }


def _record(request: TablesRequest) -> Path:
    return request.folder / f"steps-{request.dataset}.json"
