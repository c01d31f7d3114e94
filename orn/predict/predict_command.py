"""The command `orn predict`."""

from itertools import chain, groupby
from typing import Annotated

from orn.predict.predict_request import PredictRequest
from orn.shared.echo import echo, echo_text, json_text
from orn.shared.errors import SOME_FAILED
from orn.shared.options import Argument, Option, command
from orn.shared.text import counted


@command("predict")
def predict(
    run: Annotated[str, Argument("RUN|MODEL|hf://ORG/NAME")],
    videos: Annotated[tuple[str, ...], Argument("VIDEO")],
    request: PredictRequest,
    *,
    as_json: Annotated[
        bool, Option("Print one JSON object per line as results arrive.", name="--json")
    ] = False,
) -> int:
    """Predict the activities in videos with the network of a RUN or with a MODEL written by `orn
    export`, in a local folder or on the Hugging Face Hub.

    VIDEO is a file, a folder of files, a folder of JPEGs, or a glob pattern. Objects are detected
    first, with the detector used to train the network. A short video has one prediction; a long one
    is split into windows, whose predictions are averaged where they overlap. Exits with 3 if a
    video failed.
    """
    from orn.stage2_train.settings.resources import Resources, wait_passively

    wait_passively()
    from orn.predict.detecting import check_source_of_objects
    from orn.predict.given_videos import check_film, find_videos
    from orn.stage2_train.runs.find_run import local_folder

    given = find_videos(videos, rate=request.rate)
    check_film(request.overlay, given)
    folder = local_folder(run)
    check_source_of_objects(folder, request)
    import torch

    from orn.predict.predict_job import csv_row, json_of, predict_all, report_of, video_of
    from orn.predict.prediction import SegmentPrediction, WindowPrediction
    from orn.shared.jobs.atomic_file import write_text
    from orn.shared.jobs.outputs import check_output_files
    from orn.shared.jobs.plan import FailedVideo
    from orn.shared.jobs.progress import progress
    from orn.shared.jobs.workers import terminated_as_interrupted
    from orn.shared.shards.shard_folder import files_of_shards
    from orn.shared.text import csv_text
    from orn.stage2_train.runs.run_folder import files_of_run
    from orn.stage2_train.runs.trained import log_precision, open_model

    threads = Resources(threads=request.threads).num_threads()
    request = request.changed(threads=threads)
    torch.set_num_threads(threads)
    check_output_files(
        [request.csv, request.overlay, request.html],
        reads=chain(
            (video.path for video in given),
            files_of_run(folder),
            (request.checkpoint, request.config, request.objects),
            files_of_shards(request.shards) if request.shards else (),
        ),
    )
    model = open_model(folder, device=request.device)
    log_precision(folder, model.config, model.device.type)
    failed, lines = [], [csv_text([["video", "start", "end", "labels", *model.classes]])]
    reports: list[str] = []
    try:
        with (
            terminated_as_interrupted(),
            progress("predict", total=len(given), unit="videos") as bar,
        ):
            for _, of_video in groupby(predict_all(model, given, request, bar=bar), key=video_of):
                segments: list[SegmentPrediction] = []
                windows: list[WindowPrediction] = []
                for result in of_video:
                    if as_json:
                        echo(json_text(json_of(result)))
                    if isinstance(result, FailedVideo):
                        failed.append(result)
                        segments.clear()
                    elif isinstance(result, SegmentPrediction):
                        segments.append(result)
                    elif result.clip.pairs is not None:
                        windows.append(result)
                lines.append(csv_text(map(csv_row, segments)))
                if segments and not as_json:
                    reports.append(report_of(segments, windows).text() + "\n")
            if request.csv is not None:
                write_text(request.csv, "".join(lines))
    finally:  # when no progress bar is on the screen
        for text in reports:
            echo_text(text)
    if failed:
        echo(f"{len(failed):,} of {counted(len(given), 'video')} failed:", err=True)
        for video in failed:
            echo(f"  {video.id}: {video.reason}", err=True)
    return SOME_FAILED if failed else 0
