"""`orn inspect`: parse, call the job, print what came out."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    NumberRange,
    data_option,
    echo,
    echo_json,
    echo_report,
    json_option,
)
from orn.shared.text import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orn.shared.inspect.labels import ActivityLabels
    from orn.shared.inspect.pictures import Pictures
    from orn.shared.shards.shard import Shard

_path = NonEmptyPath()
_FRAME = ("video_id", "index", "seconds")
"""Options that choose a frame."""


def _overlay_file(
    context: click.Context, option: click.Parameter, path: Path | None
) -> Path | None:
    if path is not None and path.suffix.lower() not in (".png", ".mp4"):
        raise click.BadParameter(f"wanted OUT.png or OUT.mp4, found {path}")
    return path


@click.command()
@click.argument("shard", type=_path)
@click.option("--video", "video_id", metavar="ID", help="Show one frame of this video.")
@click.option("--frame", "index", type=click.IntRange(0, 10**9), help="Which frame, from 0.")
@click.option("--seconds", type=float, help="Which frame, by its time.")
@click.option(
    "--overlay",
    type=_path,
    metavar="OUT",
    callback=_overlay_file,
    help="Draw the frame as OUT.png, or the video as OUT.mp4.",
)
@click.option(
    "--html",
    type=_path,
    metavar="OUT",
    help="Write a page to look at in a browser: one file OUT.html with a sample of frames, or a "
    "folder OUT with all.",
)
@click.option("--from", "start_seconds", type=float, help="Time at which OUT.mp4 begins.")
@click.option("--to", "stop_seconds", type=float, help="Time before which OUT.mp4 ends.")
@click.option(
    "--score-threshold",
    type=NumberRange(0, 1),
    default=0.5,
    show_default=True,
    help="Leave out of OUT what scores less.",
)
@click.option(
    "--dataset",
    metavar="DATASET",
    help="Take pictures from its videos.  [default: what the plan beside SHARD names]",
)
@data_option
@click.option("--clips", type=_path, help="Take pictures from this clip store instead.")
@click.option(
    "--run",
    type=_path,
    help="Show on the page what this run predicted, which `orn eval` keeps.",
)
@click.option("--verify", "do_verify", is_flag=True, help="Check the shard as `orn verify` does.")
@json_option
def inspect(shard: Path, do_verify: bool, as_json: bool, **options: Any) -> int:
    """Show what a SHARD holds: its videos, detector, classes, sizes, and what is odd.

    With --video, --frame or --seconds, what was found in one frame. With --overlay, masks are
    drawn over the frames: one, or a film; with --html, a page shows them. Pictures that are not
    there are grey. With --verify, what is wrong with the shard instead, and 1 at the end, if
    anything is.
    """
    from orn.shared.inspect.commands import one_shard, show_verification, verify_paths
    from orn.shared.inspect.page.write import check_page_output
    from orn.shared.jobs.outputs import check_output_files
    from orn.shared.shards.shard import Shard

    _check_usage(options)
    path = one_shard(shard)
    if do_verify:
        verification = verify_paths([path])
        if verification.exit_code:
            show_verification(verification, as_json=as_json)
            return 1
        echo(f"{path}: whole", err=True)
    opened = Shard(path)
    if options["overlay"] is None and options["html"] is None:
        _describe(opened, as_json=as_json, **_only(options, *_FRAME))
        return 0
    sources = _only(options, "dataset", "data_root", "clips")
    check_output_files([options["overlay"]], reads=_inputs(path, **sources))
    if options["html"] is not None:
        check_page_output(options["html"])
    pictures = _pictures(path, **sources)
    made = _draw(opened, pictures, **options) | _write_page(opened, pictures, **options)
    if as_json:
        echo_json(made)
    for key in () if as_json else ("overlay", "html"):
        if key in made:
            echo(made[key])
    return 0


def _only(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}


def _makes_film(overlay: Path | None) -> bool:
    return overlay is not None and overlay.suffix.lower() == ".mp4"


def _check_usage(options: dict[str, Any]) -> None:
    """Raise UsageError for options that exclude or need each other."""
    makes_film = _makes_film(options["overlay"])
    if options["index"] is not None and options["seconds"] is not None:
        raise click.UsageError("--frame and --seconds both choose the frame; give one of them")
    if makes_film and (options["index"], options["seconds"]) != (None, None):
        raise click.UsageError("--frame and --seconds choose one frame; a film has --from and --to")
    for name, key in (("--from", "start_seconds"), ("--to", "stop_seconds")):
        if options[key] is not None and not makes_film:
            raise click.UsageError(f"{name} chooses a part of a film; it needs --overlay OUT.mp4")
    if options["run"] is not None and options["html"] is None:
        raise click.UsageError("--run shows predictions on a page; it needs --html OUT")
    if options["clips"] is not None and options["dataset"] is not None:
        raise click.UsageError("--dataset and --clips both give pictures; give one of them")


def _inputs(
    shard: Path, *, dataset: str | None, data_root: Path, clips: Path | None
) -> Iterator[Path | None]:
    """What a picture of the shard is made of."""
    from orn.shared.errors import PipelineError
    from orn.shared.jobs.plan import Plan
    from orn.shared.manifests.load import files_of
    from orn.shared.shards.index import files_of_shards

    yield from (shard, clips, *files_of_shards(shard.parent))
    with suppress(PipelineError):  # of a plan that is damaged
        plan = Plan.load(shard.parent)
        name = dataset or (plan and plan.dataset)
        yield from files_of(name, data_root) if name else ()


def _describe(shard: "Shard", *, as_json: bool, **frame: Any) -> None:
    from orn.shared.inspect import frame as one_frame
    from orn.shared.inspect import summary

    if all(value is None for value in frame.values()):
        whole = summary.summarise(shard)
        described, report = summary.summary_to_dict(whole), summary.as_report(whole)
    else:
        found = one_frame.find_frame(shard, **frame)
        described, report = one_frame.frame_to_dict(found), one_frame.as_report(found)
    echo_report(described, lambda _: report, as_json=as_json)


def _draw(
    shard: "Shard", pictures: "Pictures", *, overlay: Path | None, **options: Any
) -> dict[str, Any]:
    """Draw a frame or a film where one was asked for; return how many frames it has."""
    from orn.shared.inspect.frame import find_frame
    from orn.shared.inspect.overlay import draw_film, draw_picture

    if overlay is None:
        return {}
    threshold, num_frames = options["score_threshold"], 1
    if _makes_film(overlay):
        part = _only(options, "video_id", "start_seconds", "stop_seconds")
        num_frames = draw_film(shard, pictures, overlay, **part, score_threshold=threshold)
    else:
        frame = find_frame(shard, **_only(options, *_FRAME))
        draw_picture(frame, pictures, overlay, score_threshold=threshold)
    return {"overlay": str(overlay), "frames": num_frames}


def _write_page(
    shard: "Shard", pictures: "Pictures", *, html: Path | None, **options: Any
) -> dict[str, Any]:
    """Write a page where one was asked for; return where it is and what it holds."""
    from orn.shared.inspect.page.write import write_page

    if html is None:
        return {}
    labels = _labels(shard, **_only(options, "run", "dataset", "data_root"))
    page = write_page(shard, pictures, html, labels=labels)
    size = f"{page.size_bytes / 1e6:.1f} MB"
    echo(f"{page.frames:,} of {counted(page.all_frames, 'frame')}, {size}", err=True)
    return {
        "html": str(page.path),
        "html_bytes": page.size_bytes,
        "html_frames": page.frames,
        "shard_frames": page.all_frames,
    }


def _labels(
    shard: "Shard", *, run: Path | None, dataset: str | None, data_root: Path
) -> "ActivityLabels":
    """Labels of the data set, with what a run predicted where one is given."""
    from orn.shared.errors import ConfigError, PipelineError
    from orn.shared.inspect.labels import ActivityLabels, labels_of
    from orn.shared.inspect.pictures import dataset_of_shard

    try:
        name = dataset_of_shard(shard.path, dataset)
        labels = labels_of(name, data_root, _probabilities(run) if run else None)
    except PipelineError as err:
        if run is not None:
            raise
        return ActivityLabels(source=f"none: {err}")
    here = {video.id for video in shard.videos}
    shown = [each for each in labels.segments if each.video_id in here]
    if run is not None and not any(each.id in labels.probabilities for each in shown):
        raise ConfigError(
            f"{run}: expected predictions for videos of {shard.path}, got none; measure the split "
            f"that has them with `orn eval {run} --split SPLIT`"
        )
    return labels


def _probabilities(run: Path) -> "dict[str, NDArray]":
    """(A,) probabilities by segment, of each split of a run that was measured."""
    from orn.stage2_train.evaluation.predictions import load_predictions, predictions_of
    from orn.stage2_train.predict.records import probabilities

    splits = ("train", "validation", "test")
    paths = [run / f"predictions-{split}.npz" for split in splits]
    kept = [load_predictions(path) for path in paths if path.is_file()]
    return {
        name: probabilities(logits_A, multi_label=each.labels.ndim > 1)
        for each in kept or [predictions_of(run, "validation")]
        for name, logits_A in zip(each.ids, each.logits, strict=True)
    }


def _pictures(
    path: Path, *, dataset: str | None, data_root: Path, clips: Path | None
) -> "Pictures":
    from orn.shared.inspect.pictures import pictures_of_shard
    from orn.stage2_train.clips.store_pictures import StorePictures

    return StorePictures(clips) if clips else pictures_of_shard(path, dataset, data_root)
