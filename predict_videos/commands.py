"""`orn predict`: parse, call the job, print what comes."""

from itertools import chain, groupby
from pathlib import Path
from typing import Any

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    NumberRange,
    batch_option,
    data_option,
    device_option,
    echo,
    echo_text,
    frame_rate_option,
    json_text,
    threads_option,
)
from orn.shared.text import counted

_path = NonEmptyPath()
_seconds = NumberRange(0, 1e6, min_open=True)


def _written_file(
    context: click.Context, option: click.Parameter, path: Path | None
) -> Path | None:
    if path is not None and path.suffix.lower() != Path(option.metavar or "").suffix:
        raise click.BadParameter(f"wanted {option.metavar}, found {path}")
    return path


@click.command()
@click.argument("run", metavar="RUN|MODEL|hf://ORG/NAME")
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True)
@click.option("--shards", type=_path, help="Take the objects of these shards, found by content.")
@click.option(
    "--checkpoint",
    type=NonEmptyPath(dir_okay=False),
    help="File of the detector's weights.  [default: those of the model folder, the project or the "
    "model zoo]",
)
@click.option("--config", metavar="NAME|FILE", help="The detector's configuration, if not its own.")
@click.option(
    "--any-detector", is_flag=True, help="Use another detector than the network was trained with."
)
@click.option(
    "--window",
    type=_seconds,
    metavar="SECONDS",
    help="Length of the windows of longer videos.  [default: that of the training's segments]",
)
@click.option(
    "--stride",
    type=_seconds,
    metavar="SECONDS",
    help="From one window to the next.  [default: half a window]",
)
@click.option(
    "--threshold",
    type=NumberRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability from which a class holds, where several can hold at once.",
)
@click.option(
    "--pairs",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Tell so many of the pairs of objects that decided.",
)
@frame_rate_option
@click.option("--csv", "csv_path", type=_path, metavar="OUT", help="Also write a table as CSV.")
@click.option(
    "--overlay",
    type=_path,
    metavar="OUT.mp4",
    callback=_written_file,
    help="Draw a film of the only video: objects, the class at each moment, the pair that decided.",
)
@click.option(
    "--html",
    type=_path,
    metavar="OUT.html",
    callback=_written_file,
    help="Write a page of all videos that opens offline: what is predicted when, and why.",
)
@click.option(
    "--dataset",
    metavar="NAME|FILE",
    help="Show what videos of this data set are labelled beside what is predicted.",
)
@data_option
@batch_option
@threads_option("this process", usual="OMP_NUM_THREADS, else the cores")
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line, as they come.")
def predict(
    run: str,
    videos: tuple[str, ...],
    window: float | None,
    stride: float | None,
    rate: float | None,
    csv_path: Path | None,
    threads: int | None,
    device: str,
    as_json: bool,
    **options: Any,
) -> int:
    """Say what happens in videos, with the network of a RUN, or of a folder that `orn export` made,
    here or on the Hugging Face Hub.

    VIDEO is a file, a folder of files, a folder of JPEGs, or a pattern. Objects are detected first,
    by the detector that the network was trained with. A short video gets one prediction; a long one
    is looked at in windows, which are averaged where they overlap. Ends with 3 if videos failed.
    """
    from orn.stage2_train.resources import Resources, wait_passively

    wait_passively()
    import torch

    from orn.predict_videos.inputs import PredictRequest, check_film, find_videos
    from orn.predict_videos.job import csv_row, json_of, predict_all, report_of, video_of
    from orn.shared.csv_text import csv_text
    from orn.shared.jobs.atomic_file import write_text
    from orn.shared.jobs.outputs import check_output_files
    from orn.shared.jobs.plan import FailedVideo
    from orn.shared.jobs.progress import progress
    from orn.shared.jobs.termination import terminated_as_interrupted
    from orn.shared.shards.index import files_of_shards
    from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction
    from orn.stage2_train.predict.windows import WindowChoice
    from orn.stage2_train.runs.hub import local_folder
    from orn.stage2_train.runs.run_folder import files_of_run
    from orn.stage2_train.runs.trained import open_model

    num_threads = Resources(threads=threads).num_threads()
    torch.set_num_threads(num_threads)
    found = find_videos(videos, rate=rate)
    check_film(options["overlay"], found)
    folder = local_folder(run)
    choice = WindowChoice(seconds=window, stride_seconds=stride)
    request = PredictRequest(choice=choice, device=device, threads=num_threads, **options)
    check_output_files(
        [csv_path, request.overlay, request.html],
        reads=chain(
            (video.path for video in found),
            files_of_run(folder),
            (request.checkpoint, request.config),
            files_of_shards(request.shards) if request.shards else (),
        ),
    )
    model = open_model(folder, device=device)
    failed, lines = [], [csv_text([["video", "start", "end", "labels", *model.classes]])]
    with terminated_as_interrupted(), progress("predict", total=None, unit="frames") as bar:
        for _, of_video in groupby(predict_all(model, found, request, bar=bar), key=video_of):
            segments: list[SegmentPrediction] = []
            windows: list[WindowPrediction] = []
            for said in of_video:
                if as_json:
                    echo(json_text(json_of(said)))
                if isinstance(said, FailedVideo):
                    failed.append(said)
                    segments.clear()
                elif isinstance(said, SegmentPrediction):
                    segments.append(said)
                    if csv_path is not None:
                        lines.append(csv_text([csv_row(said)]))
                elif said.pairs is not None:
                    windows.append(said)
            if segments and not as_json:
                echo_text(report_of(segments, windows).text() + "\n")
        if csv_path is not None:
            write_text(csv_path, "".join(lines))
    if failed:
        echo(f"{len(failed):,} of {counted(len(found), 'video')} failed:", err=True)
        for each in failed:
            echo(f"  {each.id}: {each.reason}", err=True)
    return 3 if failed else 0
