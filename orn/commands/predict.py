"""The command `orn predict`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_text
from orn.shared.environment import wait_passively
from orn.shared.jobs.progress import TERMINAL


@click.command("predict")
@click.argument("run", metavar="RUN|MODEL|hf://ORG/NAME")
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True)
@click.option(
    "--shards",
    type=options.PATH,
    help="Use the objects in these shards; videos are matched by content.",
)
@click.option(
    "--objects",
    type=options.PATH,
    help="Use the objects in this file or folder, as for `orn import-objects`; videos are "
    "matched by the end of their path; requires --format.",
)
@click.option(
    *("--format", "form"),
    type=click.Choice(options.RECORD_FORMATS),
    help="Format of --objects.",
)
@options.object_options
@click.option(
    "--checkpoint",
    type=options.PATH,
    help="File with the detector's weights.  [default: from the model folder, else the "
    "published weights]",
)
@click.option(
    "--config", metavar="NAME|FILE", help="Config of the detector.  [default: as in training]"
)
@options.own_detector
@click.option(
    "--any-detector", is_flag=True, help="Allow a detector other than the one used for training."
)
@click.option(
    "--window",
    type=click.FloatRange(0, 1000000.0, min_open=True),
    metavar="SECONDS",
    help="Length of a window; longer videos have several windows.  [default: derived from the "
    "training segments]",
)
@click.option(
    "--threshold",
    type=options.FRACTION,
    help="Minimum probability of a predicted label, for multi-label networks.  [default: 0.5]",
)
@click.option(
    "--pairs",
    type=click.IntRange(0, 1000),
    help="Number of most important pairs of objects to report per window.  [default: 0]",
)
@options.frame_rate
@click.option(
    "--overlay",
    type=options.PATH,
    metavar="OUT.mp4|FOLDER",
    help="Write a copy of each video with its objects, the predicted class over time, and the "
    "most important pair; several videos require a folder.",
)
@click.option(
    "--html",
    type=options.PATH,
    metavar="OUT.html|FOLDER",
    help="Write a self-contained page of all videos: predictions over time, and explanations. A "
    "model of intervals writes the timeline of a video; several videos require a folder.",
)
@click.option(
    "--csv",
    type=options.PATH,
    metavar="OUT.csv",
    help="Write the intervals of a model of intervals: video, start, stop, label, probability.",
)
@click.option(
    "--frames-csv",
    type=options.PATH,
    metavar="OUT.csv",
    help="Write the probabilities of a model of intervals at each described time: video, seconds, "
    "and one column for each activity and for the background.",
)
@options.device
@click.option(
    *("--json", "as_json"), is_flag=True, help="Print one JSON object per line as results arrive."
)
def predict(*, as_json: bool, **typed: Any) -> int:
    """Predict the activities in videos with the network of a RUN or with a MODEL written by `orn
    export`, in a local folder or on the Hugging Face Hub.

    VIDEO is a file, a folder of files, or a folder of JPEGs. Objects are detected first, with the
    detector used to train the network. A model of intervals (`orn run TABLE.csv --intervals`) finds
    when activities happen. For a model of clips, a short video has one prediction; a long one is
    split into windows, each with its own, whose borders say little about when something begins.
    Exits with 3 if a video or its overlay failed.
    """
    wait_passively()
    from orn.prediction.predict_config import PredictConfig
    from orn.stage1_detect.imports.import_config import ObjectOptions

    config = options.config_of(PredictConfig, typed, options=ObjectOptions())
    from orn.prediction.given_videos import find_given_videos, output_paths
    from orn.stage2_train.runs.find_run import local_folder

    videos = find_given_videos([str(video) for video in config.videos], rate=config.rate)
    output_paths(config.overlay, videos)
    folder = local_folder(config.run)
    from orn.prediction.predict_job import predict_videos  # imports torch

    done = predict_videos(folder, videos, config, TERMINAL, write=echo_text, as_json=as_json)
    if done.failed:
        echo_text(done.summary(), err=True)
    return done.exit_code
