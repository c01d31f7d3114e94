"""The commands `orn inspect` and `orn verify`."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from orn.shared.common_options import AsJson, FilePath, Share
from orn.shared.echo import echo_result
from orn.shared.errors import SOME_FAILED
from orn.shared.options import Argument, Option, Request, command
from orn.shared.text import counted, escape

if TYPE_CHECKING:
    from orn.inspect.shard_videos import ActivityLabels
    from orn.shared.shards.shard import Shard


logger = logging.getLogger(__name__)


class InspectRequest(Request):
    """Options of `orn inspect`."""

    shard: Annotated[FilePath, Argument("SHARD")]
    video_id: Annotated[
        str | None, Option("Show one frame of this video.", name="--video", metavar="ID")
    ] = None
    index: Annotated[
        Annotated[int, Field(ge=0, le=10**9)] | None,
        Option("Index of the frame to show, from 0.", name="--frame"),
    ] = None
    seconds: Annotated[float | None, Option("Time of the frame to show.")] = None
    overlay: Annotated[
        FilePath | None,
        Option("Draw the frame as OUT.png, or the video as OUT.mp4.", metavar="OUT"),
    ] = None
    html: Annotated[
        FilePath | None,
        Option(
            "Write a page for a browser: the folder OUT with an index.html and all frames.",
            metavar="OUT",
        ),
    ] = None
    score_threshold: Annotated[
        Share | None,
        Option(
            "Minimum score of the objects in OUT.",
            usual="that of the detection",
        ),
    ] = None
    dataset: Annotated[
        str | None,
        Option(
            "Read frames from the videos of this data set.",
            metavar="DATASET",
            usual="from the plan next to SHARD",
        ),
    ] = None
    data_root: Annotated[
        FilePath | None,
        Option(
            "Data root.",
            name="--data",
            usual="from the plan next to SHARD, else that of the data set",
        ),
    ] = None

    @property
    def draws_video(self) -> bool:
        """Whether the overlay is a video instead of a picture."""
        return self.overlay is not None and self.overlay.suffix.lower() == ".mp4"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.overlay is not None and self.overlay.suffix.lower() not in (".png", ".mp4"):
            raise ValueError(f"--overlay: expected OUT.png or OUT.mp4, got {self.overlay}")
        if self.index is not None and self.seconds is not None:
            raise ValueError("--frame and --seconds: expected at most one, got both; omit one")
        if self.draws_video and (self.index, self.seconds) != (None, None):
            raise ValueError("--frame and --seconds draw one frame; pass --overlay OUT.png")
        if self.html is not None and self.html.suffix.lower() in (".html", ".htm"):
            raise ValueError(f"--html: expected a folder, got {self.html}; omit {self.html.suffix}")
        return self


@command("inspect")
def inspect(request: InspectRequest, *, as_json: AsJson = False) -> int:
    """Show the contents of a SHARD: videos, detector, classes and sizes.

    With --video, --frame or --seconds, show the objects in one frame. With --overlay, draw masks
    over one frame or a video; with --html, write a page. Missing frames are gray; the exit code is
    then 3 for --overlay.
    """
    from orn.inspect import overlay, summary
    from orn.inspect.page.write import check_page_output, write_page
    from orn.inspect.shard_videos import pictures_of_shard
    from orn.shared.jobs.outputs import check_output_files
    from orn.shared.shards.shard import Shard

    path = request.shard
    shard = Shard(path)
    video_id, index, seconds = request.video_id, request.index, request.seconds
    frame_of = partial(summary.find_frame, video_id=video_id, index=index, seconds=seconds)
    if request.overlay is None and request.html is None:
        if (video_id, index, seconds) == (None, None, None):
            echo_result(summary.summarize(shard), summary.as_summary, as_json=as_json)
        else:
            frame = summary.frame_to_dict(frame_of(shard))
            echo_result(frame, summary.frame_summary, as_json=as_json)
        return 0
    check_output_files([request.overlay], reads=_inputs(path, request))
    if request.html is not None:
        check_page_output(request.html)
    pictures = pictures_of_shard(path, request.dataset, request.data_root)
    threshold = request.score_threshold
    if threshold is None:
        threshold = shard.detector.thresholds.get("score", 0)
    made: dict[str, Any] = {}
    if request.overlay is not None:
        out = request.overlay
        made = {"overlay": str(out)} | (
            overlay.draw_film(shard, pictures, out, video_id, score_threshold=threshold)
            if request.draws_video
            else overlay.draw_picture(frame_of(shard), pictures, out, score_threshold=threshold)
        )
    if request.html is not None:
        labels = _labels(shard, request)
        page = write_page(shard, pictures, request.html, labels=labels, score_threshold=threshold)
        made["html"] = str(page)
    echo_result(
        made,
        lambda _: "\n".join(made[key] for key in ("overlay", "html") if key in made),
        as_json=as_json,
    )
    if not made.get("gray"):
        return 0
    message = "a gray background for %d of %d frames: their pictures are missing"
    logger.warning(f"{request.overlay}: {message}", made["gray"], made["frames"])
    return SOME_FAILED


def _inputs(shard: Path, request: InspectRequest) -> Iterator[Path | None]:
    """Yield the files from which pictures of the shard are made."""
    from orn.data_manifests.load import files_of
    from orn.inspect.shard_videos import data_of_shard
    from orn.shared.errors import PipelineError
    from orn.shared.shards.shard_folder import files_of_shards

    yield from (shard, *files_of_shards(shard.parent))
    with suppress(PipelineError):  # a corrupt plan
        yield from files_of(*data_of_shard(shard, request.dataset, request.data_root))


def _labels(shard: "Shard", request: InspectRequest) -> "ActivityLabels":
    """Return the labels of the data set, if it has any."""
    from orn.inspect.shard_videos import ActivityLabels, data_of_shard, labels_of
    from orn.shared.errors import PipelineError

    try:
        return labels_of(*data_of_shard(shard.path, request.dataset, request.data_root))
    except PipelineError as err:
        return ActivityLabels(title=f"none: {err}")


@command("verify")
def verify(
    paths: Annotated[tuple[FilePath, ...], Argument("SHARD|FOLDER")],
    *,
    workers: Annotated[
        Annotated[int, Field(ge=1, le=256)] | None,
        Option("Number of processes.", usual="one per core"),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check every byte and mask of the given shards, or of all shards in the given folders.

    Folders are also checked against their plan, and for duplicate and missing frames. The exit code
    is 1 if there is an error; notes are not errors.
    """
    from orn.inspect.verify import verify_paths

    result = verify_paths(paths, workers=workers)
    echo_result(result, _problem_lines, as_json=as_json)
    return int(not result["ok"])


def _problem_lines(result: dict[str, Any]) -> str:
    """Return one line per problem, notes last, and a summary line if there is no error."""
    lines = []
    for problem in sorted(result["problems"], key=itemgetter("severity")):
        note = "note: " if problem["severity"] == "note" else ""
        lines.append(escape(f"{problem['shard']}: {note}{problem['message']}"))
    if result["ok"]:
        lines.append(f"ok: {counted(result['shards'], 'shard')}")
    return "\n".join(lines)
