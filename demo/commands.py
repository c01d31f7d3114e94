"""`orn demo`, which runs everything once, and what draws its world and trains its detector."""

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from orn.demo.world.dials import DETECTOR_FRAMES, USED_DIALS, WORLDS, Dials
from orn.shared.cli_options import (
    NumberRange,
    data_option,
    echo,
    echo_json,
    echo_report,
    json_option,
    out_option,
    seed_option,
)
from orn.shared.environment import usable_cores
from orn.shared.text import counted

DETECTOR_FILMS = {"train": 4000, "validation": 250}
_DIALS = tuple(dial for dial in dataclasses.fields(Dials) if dial.metadata["flag"])


@click.command("demo")
@click.option("--short", "size", flag_value="short", help="A few films: shows that all works.")
@click.option("--full", "size", flag_value="full", help="Many films and long training: hours.")
@seed_option
@json_option
def demo(size: str | None, seed: int, as_json: bool) -> None:
    """Draw small films, detect their objects, train on them and say how well that went.

    Everything lies below the current folder in data/, shards/, clips/ and runs/. Called again, it
    does only what is missing.
    """
    from orn.demo.run import as_report, demo_places, run_demo

    size = size or "standard"
    summary = run_demo(size=size, seed=seed)
    echo_report(summary, partial(as_report, places=demo_places(size, seed)), as_json=as_json)


def _parse_films(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(
            f"wanted three numbers, TRAIN,VALIDATION,TEST, such as 1600,320,0; found {text!r}"
        )
    if int(parts[0]) < 1:
        raise click.BadParameter(f"wanted at least 1 film to train on, found {text!r}")
    return tuple(map(int, parts))


def _dial_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each dial; the command gets the dial's value, None if it was not given."""
    for dial in reversed(_DIALS):
        kind = click.IntRange if isinstance(dial.default, int) else NumberRange
        command = click.option(
            dial.metadata["flag"],
            dial.name,
            type=kind(dial.metadata["least"], dial.metadata["largest"]),
            help=f"{dial.metadata['help']}  [default: {dial.default}]",
        )(command)
    return command


def _given_dials(dataset: str, given: dict[str, Any]) -> Dials:
    """The dials that were given, refused where one changes nothing of the data set."""
    turned = {name: value for name, value in given.items() if value is not None}
    if dataset != "all":
        used = [dial.metadata["flag"] for dial in _DIALS if dial.name in USED_DIALS[dataset]]
        for dial in _DIALS:
            if dial.name in turned and dial.metadata["flag"] not in used:
                raise click.BadParameter(
                    f"changes nothing of {dataset}, which has {', '.join(used)}",
                    param_hint=dial.metadata["flag"],
                )
    dials = Dials(**turned)
    for name in USED_DIALS if dataset == "all" else (dataset,):
        dials.check_for(name)
    return dials


@click.command("world")
@click.argument("dataset", type=click.Choice(["all", *WORLDS, DETECTOR_FRAMES]))
@data_option
@click.option(
    "--size",
    type=click.Choice(["short", "standard", "full"]),
    default="standard",
    show_default=True,
    help="How many films.",
)
@click.option(
    "--films",
    metavar="TRAIN,VALIDATION,TEST",
    callback=_parse_films,
    help="How many films, in place of --size.",
)
@_dial_options
@seed_option
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; default: cores.")
def demo_world(
    dataset: str,
    data_root: Path,
    size: str,
    films: tuple[int, ...] | None,
    seed: int,
    workers: int | None,
    **given: Any,
) -> None:
    """Draw the films, label tables and ground truth of the demo world under --data.

    What is whole already is left alone; an interrupted drawing goes on where it was. A dial that
    does not turn DATASET is refused; with `all` it turns those data sets that have it.
    """
    from orn.demo.detector.frames import write_detector_frames
    from orn.demo.world.make import SIZES, write_dataset

    dials, workers = _given_dials(dataset, given), workers or usable_cores()
    if films is not None and dataset not in WORLDS:
        raise click.BadParameter(
            f"wanted one of {', '.join(WORLDS)} as DATASET, found {dataset}", param_hint="--films"
        )
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


@click.command("truth")
@click.argument("dataset", type=click.Choice(WORLDS))
@data_option
@out_option("shards/DATASET-truth")
def demo_truth(dataset: str, data_root: Path, out: Path | None) -> None:
    """Write what the films of DATASET truly show as shards, in place of `orn detect`.

    A control: training on them (`--shards`) says what a perfect detector would give.
    """
    from orn.demo.world.truth_shards import write_truth_shards

    folder = out or Path("shards") / f"{dataset}-truth"
    written = write_truth_shards(dataset, data_root, folder)
    done = f"{counted(written, 'shard')} written" if written else "whole"
    echo(f"{folder}: {done}", err=True)


@click.command("detector")
@data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the weights, with a record beside it in FILE.json.  "
    "[default: DATA/demo-detector/detector.pth]",
)
@click.option("--iterations", type=click.IntRange(1), default=4000, show_default=True)
@click.option(
    "--batch", type=click.IntRange(2), default=8, show_default=True, help="Frames a step."
)
@click.option("--evaluate-every", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: torch's choice]")
@seed_option
@json_option
def demo_detector(
    data_root: Path,
    out: Path | None,
    iterations: int,
    batch: int,
    evaluate_every: int,
    threads: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train the small detector of the demo from random weights on DATA/demo-detector.

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
    out = out or folder / "detector.pth"
    record = train_detector(
        folder, out, config=demo_config(), settings=settings, command=["orn", *sys.argv[1:]]
    )
    found = ", ".join(f"{key} {value:.3f}" for key, value in record["average_precision"].items())
    echo(f"{out}: {counted(iterations, 'step')} in {record['seconds']} s, {found}", err=True)
    if as_json:
        echo_json(record)
