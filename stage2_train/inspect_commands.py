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
    echo_text,
    json_option,
)
from orn.shared.text_table import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orn.shared.inspect.labels import ActivityLabels
    from orn.shared.inspect.pictures import Pictures
    from orn.shared.shards.shard import Shard

_path = NonEmptyPath()


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

    overlay, makes_film = options["overlay"], str(options["overlay"]).lower().endswith(".mp4")
    if options["index"] is not None and options["seconds"] is not None:
        raise click.UsageError("--frame and --seconds both choose the frame; give one of them")
    for name, key in (("--from", "start_seconds"), ("--to", "stop_seconds")):
        if options[key] is not None and not makes_film:
            raise click.UsageError(f"{name} chooses a part of a film; it needs --overlay OUT.mp4")
    if options["run"] is not None and options["html"] is None:
        raise click.UsageError("--run shows predictions on a page; it needs --html OUT")
    path = one_shard(shard)
    if do_verify:
        verification = verify_paths([path])
        if verification.exit_code:
            show_verification(verification, as_json=as_json)
            return 1
        echo(f"{path}: whole", err=True)
    opened = Shard(path)
    if overlay is not None or options["html"] is not None:
        reads = _inputs(path, options["dataset"], options["data_root"], options["clips"])
        check_output_files([overlay], reads=reads)
        if options["html"] is not None:
            check_page_output(options["html"])
        made = _draw(opened, makes_film=makes_film, **options)
        if as_json:
            echo_json(made)
        for key in () if as_json else ("overlay", "html"):
            if key in made:
                echo(made[key])
    else:
        _describe(opened, as_json=as_json, **options)
    return 0


def _inputs(
    shard: Path, dataset: str | None, data_root: Path, clips: Path | None
) -> Iterator[Path | None]:
    """What a picture of the shard is made of."""
    from orn.shared.errors import PipelineError
    from orn.shared.manifests.files import files_of
    from orn.shared.shards.index import files_of_shards
    from orn.shared.shards.plan import Plan

    yield from (shard, clips, *files_of_shards(shard.parent))
    with suppress(PipelineError):  # of a plan that is damaged
        plan = Plan.load(shard.parent)
        name = dataset or (plan and plan.dataset)
        yield from files_of(name, data_root) if name else ()


def _describe(
    shard: "Shard",
    *,
    video_id: str | None,
    index: int | None,
    seconds: float | None,
    as_json: bool,
    **_: Any,
) -> None:
    from orn.shared.inspect.frame import find_frame, frame_text, frame_to_dict
    from orn.shared.inspect.summary import summarise, summary_text, summary_to_dict

    if video_id is None and index is None and seconds is None:
        summary = summarise(shard)
        echo_json(summary_to_dict(summary)) if as_json else echo_text(summary_text(summary))
    else:
        frame = find_frame(shard, video_id=video_id, index=index, seconds=seconds)
        echo_json(frame_to_dict(frame)) if as_json else echo_text(frame_text(frame))


def _draw(
    shard: "Shard",
    *,
    overlay: Path | None,
    html: Path | None,
    makes_film: bool,
    dataset: str | None,
    data_root: Path,
    clips: Path | None,
    run: Path | None,
    **chosen: Any,
) -> dict[str, Any]:
    """Write what was asked for; return where it is and how many frames it has."""
    pictures = _pictures(shard.path, dataset=dataset, data_root=data_root, clips=clips)
    made: dict[str, Any] = {}
    if overlay is not None:
        draw = _draw_film if makes_film else _draw_frame
        made |= {"overlay": str(overlay), "frames": draw(shard, pictures, overlay, **chosen)}
    if html is not None:
        from orn.shared.inspect.page.write import write_page

        labels = _labels(shard, run, dataset=dataset, data_root=data_root)
        page = write_page(shard, pictures, html, labels=labels)
        size = f"{page.size_bytes / 1e6:.1f} MB"
        echo(f"{page.frames:,} of {counted(page.all_frames, 'frame')}, {size}", err=True)
        made |= {
            "html": str(page.path),
            "html_bytes": page.size_bytes,
            "html_frames": page.frames,
            "shard_frames": page.all_frames,
        }
    return made


def _labels(
    shard: "Shard", run: Path | None, *, dataset: str | None, data_root: Path
) -> "ActivityLabels":
    """Labels of the data set, with what a run predicted where one is given."""
    from orn.shared.errors import ConfigError, PipelineError
    from orn.shared.inspect.labels import ActivityLabels, labels_of
    from orn.shared.inspect.pictures import dataset_of_shard

    try:
        name = dataset_of_shard(shard.path, dataset)
        labels = labels_of(name, data_root, _probabilities(run) if run is not None else {})
    except PipelineError as err:
        if run is not None or dataset is not None:
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


def _draw_frame(
    shard: "Shard",
    pictures: "Pictures",
    out: Path,
    *,
    video_id: str | None,
    index: int | None,
    seconds: float | None,
    score_threshold: float,
    **_: Any,
) -> int:
    from orn.shared.inspect.frame import find_frame
    from orn.shared.inspect.overlay import draw_picture

    frame = find_frame(shard, video_id=video_id, index=index, seconds=seconds)
    draw_picture(frame, pictures, out, score_threshold=score_threshold)
    return 1


def _draw_film(
    shard: "Shard", pictures: "Pictures", out: Path, *, index: Any, seconds: Any, **part: Any
) -> int:
    from orn.shared.inspect.overlay import draw_film

    if index is not None or seconds is not None:
        raise click.UsageError("--frame and --seconds choose one frame; a film has --from and --to")
    return draw_film(shard, pictures, out, **part)


def _pictures(
    path: Path, *, dataset: str | None, data_root: Path, clips: Path | None
) -> "Pictures":
    from orn.shared.inspect.pictures import pictures_of_shard
    from orn.stage2_train.clips.store_pictures import StorePictures

    if clips is not None and dataset is not None:
        raise click.UsageError("--dataset and --clips both give pictures; give one of them")
    return (
        StorePictures(clips) if clips is not None else pictures_of_shard(path, dataset, data_root)
    )
