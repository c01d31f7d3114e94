"""The commands `orn demo`, `orn demo world`, `orn demo truth` and `orn demo detector`."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orn.demo.world.parameters import (
    DETECTOR_FRAMES,
    DRAWN_CLASSES,
    USED_PARAMETERS,
    WORLDS,
    World,
    WorldParameters,
)
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
_USUAL = WorldParameters()


def _films(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    if len(parts) != 3:
        raise ValueError(
            f"expected three numbers, TRAIN,VALIDATION,TEST, got {value!r}; pass 1600,320,0, for "
            "example"
        )
    return parts


_Films = Annotated[
    tuple[Count, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]],
    BeforeValidator(_films),
]


@command("demo")
def demo(
    *,
    short: Annotated[bool, Option("Use a few films, to test the installation.")] = False,
    full: Annotated[bool, Option("Use many films and train for hours.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline once: generate films, detect their objects, train, and evaluate.

    Writes to data/, shards/, clips/ and runs/ in the current folder. Completed steps are skipped.
    """
    from orn.demo.run import as_report, demo_pipeline, run_demo

    size = "short" if short else "full" if full else "standard"
    summary = run_demo(size, seed)
    echo_report(summary, partial(as_report, pipeline=demo_pipeline(size, seed)), as_json=as_json)


def _check_parameters(dataset: str, parameters: WorldParameters) -> None:
    """Raise ConfigError if a given parameter is invalid or not used by the data set."""
    for name in USED_PARAMETERS if dataset == "all" else (dataset,):
        parameters.check_for(name)
    if dataset == "all":
        return
    used = USED_PARAMETERS[dataset]
    unused = sorted(parameters.model_fields_set.difference(used))
    if unused:
        options = option_names(WorldParameters)
        choices = ", ".join(options[each] for each in used if each in options)
        raise ConfigError(
            f"{options[unused[0]]}: expected a parameter of {dataset} ({choices}), which does not "
            "use this option; omit it"
        )


@command("world")
def demo_world(
    dataset: Annotated[Literal["all", World, "demo-detector"], Argument("DATASET")],
    *,
    data_root: DataRoot = Path("data"),
    size: Annotated[Literal["short", "standard", "full"], Option("Number of films.")] = "standard",
    films: Annotated[
        _Films | None,
        Option("Number of films per split, instead of --size.", metavar="TRAIN,VALIDATION,TEST"),
    ] = None,
    parameters: WorldParameters = _USUAL,
    seed: Seed = 0,
    workers: Annotated[Count | None, Option("Number of processes.", usual="one per core")] = None,
) -> None:
    """Write the films of the demo world to --data, with label tables and ground truth.

    Complete data sets are skipped, and an interrupted one resumes. Parameters that DATASET does not
    use are rejected; with `all`, they apply to the data sets that use them.
    """
    from orn.demo.detector.frames import write_detector_frames
    from orn.demo.world.make import SIZES, write_dataset

    _check_parameters(dataset, parameters)
    workers = workers or usable_cores()
    if films is not None and dataset not in WORLDS:
        raise ConfigError(f"--films: expected one of {', '.join(WORLDS)} as DATASET, got {dataset}")
    if dataset == DETECTOR_FRAMES:
        write_detector_frames(
            data_root, films=DETECTOR_FILMS, parameters=parameters, seed=seed, workers=workers
        )
        return
    for name in WORLDS if dataset == "all" else (dataset,):
        drawn = write_dataset(
            name, data_root, films=films or SIZES[size][name], parameters=parameters, seed=seed,
            workers=workers,
        )  # fmt: skip
        done = f"{counted(drawn, 'film')} drawn" if drawn else "complete"
        echo(f"{data_root / name}: {done}", err=True)


@command("truth")
def demo_truth(
    dataset: Annotated[World, Argument("DATASET")],
    *,
    data_root: DataRoot = Path("data"),
    out: Annotated[FilePath | None, out_option("shards/DATASET-truth")] = None,
    rate: PickedRate = None,
    drawn_classes: Annotated[
        bool, Option("Use the drawn classes only, instead of COCO's 80.")
    ] = False,
) -> None:
    """Write the ground truth of DATASET as shards, instead of running `orn detect`.

    Training on these shards (--shards) shows the accuracy with a perfect detector.
    """
    from orn.demo.world.truth_shards import write_truth_shards

    folder = out or Path("shards") / f"{dataset}-truth"
    names = DRAWN_CLASSES if drawn_classes else COCO_CLASSES
    written = write_truth_shards(dataset, data_root, folder, rate=rate, class_names=names)
    done = f"{counted(written, 'shard')} written" if written else "complete"
    echo(f"{folder}: {done}", err=True)


@command("detector")
def demo_detector(
    *,
    detector: Annotated[
        Literal["mask_rcnn", "rtmdet_ins"],
        Option("Mask R-CNN with the 80 COCO classes, or RTMDet-Ins with the 14 drawn classes."),
    ] = "mask_rcnn",
    data_root: DataRoot = Path("data"),
    out: Annotated[
        FilePath | None,
        Option(
            "Output file for the weights; FILE.json records the training run.",
            usual="DATA/demo-detector/DETECTOR_demo.pth",
        ),
    ] = None,
    iterations: Annotated[Count, Option("Number of steps.")] = 4000,
    batch: Annotated[int, Field(ge=2), Option("Frames per step.")] = 8,
    evaluate_every: Annotated[Count, Option("Number of steps between evaluations.")] = 1000,
    threads: Annotated[
        Threads | None, Option("Number of CPU threads.", usual="set by torch")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a small detector for the demo from random weights on DATA/demo-detector.

    An interrupted training run resumes from its last saved state.
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
