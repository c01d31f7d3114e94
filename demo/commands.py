"""`orn demo`, which runs everything once, and what draws its world and trains its detector."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orn.demo.world.dials import DETECTOR_FRAMES, DRAWN_CLASSES, USED_DIALS, WORLDS, Dials, World
from orn.shared.common_options import (
    AsJson,
    Count,
    DataRoot,
    FilePath,
    PickedRate,
    Seed,
    Threads,
    out_option,
)
from orn.shared.echo import echo, echo_json, echo_report
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.options import Argument, Option, command, option_names
from orn.shared.text import counted

DETECTOR_FILMS = {"train": 4000, "validation": 250}
_USUAL = Dials()


def _films(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    if len(parts) != 3:
        raise ValueError(
            f"expected three numbers, TRAIN,VALIDATION,TEST, such as 1600,320,0; got {value!r}"
        )
    return parts


_Films = Annotated[
    tuple[Count, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]],
    BeforeValidator(_films),
]


@command("demo")
def demo(
    *,
    short: Annotated[bool, Option("A few films: shows that all works.")] = False,
    full: Annotated[bool, Option("Many films and long training: hours.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Draw small films, detect their objects, train on them and say how well that went.

    Everything lies below the current folder in data/, shards/, clips/ and runs/. Called again, it
    does only what is missing.
    """
    from orn.demo.run import as_report, demo_pipeline, run_demo

    size = "short" if short else "full" if full else "standard"
    summary = run_demo(size, seed)
    echo_report(summary, partial(as_report, pipeline=demo_pipeline(size, seed)), as_json=as_json)


def _check_dials(dataset: str, dials: Dials) -> None:
    """Raise ConfigError where a dial that was given changes nothing of the data set."""
    names = option_names(Dials)
    for dial in sorted(dials.model_fields_set) if dataset != "all" else ():
        if dial not in USED_DIALS[dataset]:
            used = ", ".join(name for each, name in names.items() if each in USED_DIALS[dataset])
            raise ConfigError(f"{names[dial]}: changes nothing of {dataset}, which has {used}")
    for name in USED_DIALS if dataset == "all" else (dataset,):
        dials.check_for(name)


@command("world")
def demo_world(
    dataset: Annotated[Literal["all", World, "demo-detector"], Argument("DATASET")],
    *,
    data_root: DataRoot = Path("data"),
    size: Annotated[Literal["short", "standard", "full"], Option("How many films.")] = "standard",
    films: Annotated[
        _Films | None,
        Option("How many films, in place of --size.", metavar="TRAIN,VALIDATION,TEST"),
    ] = None,
    dials: Dials = _USUAL,
    seed: Seed = 0,
    workers: Annotated[Count | None, Option("Processes.", usual="cores")] = None,
) -> None:
    """Draw the films, label tables and ground truth of the demo world under --data.

    What is whole already is left alone; an interrupted drawing goes on where it was. A dial that
    does not turn DATASET is refused; with `all` it turns those data sets that have it.
    """
    from orn.demo.detector.frames import write_detector_frames
    from orn.demo.world.make import SIZES, write_dataset

    _check_dials(dataset, dials)
    workers = workers or usable_cores()
    if films is not None and dataset not in WORLDS:
        raise ConfigError(f"--films: expected one of {', '.join(WORLDS)} as DATASET, got {dataset}")
    if dataset == DETECTOR_FRAMES:
        write_detector_frames(
            data_root, films=DETECTOR_FILMS, dials=dials, seed=seed, workers=workers
        )
        return
    for name in WORLDS if dataset == "all" else (dataset,):
        drawn = write_dataset(
            name, data_root, films=films or SIZES[size][name], dials=dials, seed=seed,
            workers=workers,
        )  # fmt: skip
        done = f"{counted(drawn, 'film')} drawn" if drawn else "whole"
        echo(f"{data_root / name}: {done}", err=True)


@command("truth")
def demo_truth(
    dataset: Annotated[World, Argument("DATASET")],
    *,
    data_root: DataRoot = Path("data"),
    out: Annotated[FilePath | None, out_option("shards/DATASET-truth")] = None,
    rate: PickedRate = None,
    drawn_classes: Annotated[
        bool, Option("Only the classes that are drawn, in place of COCO's 80.")
    ] = False,
) -> None:
    """Write what the films of DATASET truly show as shards, in place of `orn detect`.

    A control: training on them (`--shards`) says what a perfect detector would give.
    """
    from orn.demo.world.truth_shards import write_truth_shards

    folder = out or Path("shards") / f"{dataset}-truth"
    names = DRAWN_CLASSES if drawn_classes else COCO_CLASSES
    written = write_truth_shards(dataset, data_root, folder, rate=rate, class_names=names)
    done = f"{counted(written, 'shard')} written" if written else "whole"
    echo(f"{folder}: {done}", err=True)


@command("detector")
def demo_detector(
    *,
    detector: Annotated[
        Literal["mask_rcnn", "rtmdet_ins"],
        Option("Mask R-CNN of the 80 COCO classes, or RTMDet-Ins of the 14 things on the table."),
    ] = "mask_rcnn",
    data_root: DataRoot = Path("data"),
    out: Annotated[
        FilePath | None,
        Option(
            "File for the weights, with a record beside it in FILE.json.",
            usual="DATA/demo-detector/DETECTOR_demo.pth",
        ),
    ] = None,
    iterations: Annotated[Count, Option("Steps.")] = 4000,
    batch: Annotated[int, Field(ge=2), Option("Frames a step.")] = 8,
    evaluate_every: Annotated[Count, Option("Steps from one evaluation to the next.")] = 1000,
    threads: Annotated[Threads | None, Option("CPU threads.", usual="torch's choice")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a small detector for the demo from random weights on DATA/demo-detector.

    An interrupted training goes on where it last saved.
    """
    import torch

    from orn.demo.detector.training import DetectorTraining, demo_config, train_detector

    if threads:
        torch.set_num_threads(threads)
    folder = data_root / DETECTOR_FRAMES
    settings = DetectorTraining(
        iterations=iterations, batch=batch, evaluate_every=evaluate_every, seed=seed
    )
    out = out or folder / f"{detector}_demo.pth"
    config = demo_config(detector)
    record = train_detector(
        folder, out, config=config, settings=settings, command=["orn", *sys.argv[1:]]
    )
    found = ", ".join(f"{key} {value:.3f}" for key, value in record["average_precision"].items())
    echo(f"{out}: {counted(iterations, 'step')} in {record['seconds']} s, {found}", err=True)
    if as_json:
        echo_json(record)
