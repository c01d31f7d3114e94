"""The command `orn predict`."""

from typing import Annotated

from orn.predict.predict_request import PredictRequest
from orn.shared.echo import echo
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

    VIDEO is a file, a folder of files, or a folder of JPEGs. Objects are detected first, with the
    detector used to train the network. A short video has one prediction; a long one is split into
    windows, whose predictions are averaged where they overlap. Exits with 3 if a video failed.
    """
    from orn.stage2_train.settings.resources import wait_passively

    wait_passively()
    from orn.predict.given_videos import film_paths, find_videos
    from orn.stage2_train.runs.find_run import local_folder

    given = find_videos(videos, rate=request.rate)
    film_paths(request.overlay, given)
    folder = local_folder(run)
    from orn.predict.predict_job import predict_videos  # imports torch

    failed = predict_videos(folder, given, request, as_json=as_json)
    if failed:
        echo(f"{len(failed):,} of {counted(len(given), 'video')} failed:", err=True)
        for video in failed:
            echo(f"  {video.id}: {video.reason}", err=True)
    return SOME_FAILED if failed else 0
