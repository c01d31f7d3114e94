"""The commands of stage 1: `orn detect` and `orn demo-detector`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shared.cli_options import data_option, echo_json, json_option, seed_option

__all__ = ["demo_detector"]


@click.command("demo-detector")
@data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the weights; a record goes to FILE.json. Default: DATA/demo-detector/detector.pth",
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

    from stage1_detect.mmdet.training import DetectorTraining, demo_config, train_detector

    if threads:
        torch.set_num_threads(threads)
    folder = data_root / "demo-detector"
    settings = DetectorTraining(
        iterations=iterations, batch=batch, evaluate_every=evaluate_every, seed=seed
    )
    out = out or folder / "detector.pth"
    record = train_detector(
        folder, out, config=demo_config(), settings=settings, command=["orn", *sys.argv[1:]]
    )
    found = ", ".join(f"{key} {value:.3f}" for key, value in record["average_precision"].items())
    click.echo(f"{out}: {iterations} steps in {record['seconds']} s, {found}", err=True)
    if as_json:
        echo_json(record)
