"""The commands of stage 1: `orn detect` and `orn demo-detector`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from shared.cli_options import (
    data_option,
    dataset_argument,
    device_option,
    dry_run_option,
    echo_json,
    json_option,
    out_option,
    seed_option,
)

__all__ = ["demo_detector", "detect"]


@click.command("detect")
@dataset_argument
@data_option
@out_option("shards/DATASET")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the detector's weights.  [default: the data set's own]",
)
@click.option(
    "--config",
    metavar="NAME|FILE",
    help="A config of mmdet's model zoo by name, or a file.  [default: the data set's own, else "
    "mask-rcnn_r50_fpn_ms-poly-3x_coco]",
)
@click.option(
    "--score-threshold",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Detections that score less are dropped.",
)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Frames.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes, each with a detector of its own.  [default: the cores, or 1 with a GPU]",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="CPU threads of each process; the last bits of a result depend on it.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N videos.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Number format of the backbone; float16 needs a GPU.",
)
@click.option("--fresh", is_flag=True, help="Remove the job that is in the folder, start over.")
@device_option
@dry_run_option
@json_option
def detect(
    dataset: str,
    data_root: Path,
    out: Path | None,
    checkpoint: Path | None,
    config: str | None,
    score_threshold: float,
    batch: int,
    workers: int | None,
    threads: int,
    limit: int | None,
    precision: str,
    fresh: bool,
    device: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Find the objects of every frame of DATASET and write them as shards.

    A job that was cut off goes on where it stopped. Ends with 3 if videos could not be decoded.
    """
    from shared.manifests.load import load_dataset, shipped_detectors
    from stage1_detect.detector_choice import choose_files
    from stage1_detect.planning import check_videos, clear_folder, limit_videos, plan_job

    data = limit_videos(load_dataset(dataset, data_root, labels=False), limit)
    check_videos(data)
    files = choose_files(
        data.detector, config=config, checkpoint=checkpoint, shipped=shipped_detectors()
    )
    folder = out or Path("shards") / data.name
    if dry_run:
        from stage1_detect.dry_run import describe_job

        echo_json(describe_job(data, files, folder=folder, score_threshold=score_threshold))
        return 0
    from stage1_detect.job import report, run_job
    from stage1_detect.mmdet.detector import load_detector
    from stage1_detect.mmdet.devices import devices_of_workers

    load = partial(
        load_detector,
        config=files.config,
        checkpoint=files.checkpoint,
        device=device,
        score_threshold=score_threshold,
        precision=precision,
        threads=threads,
    )
    detector = load()
    if fresh:
        clear_folder(folder)
    job = plan_job(data, entry=detector.entry, folder=folder)
    workers = workers or len(devices_of_workers(device, None))
    summary = run_job(job, detector=detector, batch=batch, load=load, workers=workers)
    for line in report(summary):
        click.echo(line, err=True)
    if as_json:
        echo_json(summary.as_json())
    return summary.exit_code


@click.command("demo-detector")
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
