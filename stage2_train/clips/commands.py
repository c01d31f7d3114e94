"""`orn overlay`: parse, call the job, print what came out."""

from typing import Any

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    NumberRange,
    data_option,
    dataset_argument,
    echo,
    echo_json,
    json_option,
    out_option,
)

_path = NonEmptyPath()


@click.command()
@dataset_argument
@data_option
@out_option("overlays/DATASET")
@click.option("--shards", type=_path, help="Folder of shards.  [default: shards/DATASET]")
@click.option("--clips", type=_path, help="Clip store.  [default: clips/DATASET.h5]")
@click.option("--segment", metavar="ID", help="Draw this segment only.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=8,
    show_default=True,
    help="How many segments, evenly spread over the label table.",
)
@click.option(
    "--num-frames",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Frames of each, evenly spread over the segment.",
)
@click.option(
    "--score-threshold",
    type=NumberRange(0, 1),
    default=0.5,
    show_default=True,
    help="Leave out detections below it.",
)
@json_option
def overlay(dataset: str, as_json: bool, **options: Any) -> None:
    """Draw masks on stored frames, to see with one's own eyes that they belong together.

    One picture a segment: its frames as a batch has them, not cropped, with their times. A class
    has the same colour in all of them.
    """
    from orn.stage2_train.clips.overlay import draw_overlays

    result = draw_overlays(dataset, **options)
    if as_json:
        echo_json(result)
    else:
        for picture in result["pictures"]:
            echo(picture["path"])
