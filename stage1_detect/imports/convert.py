"""Convert the records of a video to frames with detections.

Axes: P distinct frames of a video in the source, F frames of the video.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ObjectImportError
from orn.shared.shards.shard import MOST_FRAME_DETECTIONS
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.stage1_detect.imports.formats import RecordFormat
from orn.stage1_detect.imports.object_table import records_of
from orn.stage1_detect.imports.source_objects import (
    SourceFrame,
    SourceObject,
    SourceVideo,
    checked,
    frame_of,
)


def rows_of_places(
    places_P: NDArray[np.float64],
    seconds_F: NDArray[np.float64],
    *,
    by_time: bool,
    folder_rate: float | None,
) -> NDArray[np.int64]:
    """Return the (P,) frame index of each distinct number or time of a video, or -1.

    A time matches the nearest frame within half a frame interval. If several times match the same
    frame, only the nearest is kept.

    Args:
        places_P: increasing numbers or times of frames.
        seconds_F: times of the video's frames.
        by_time: whether `places_P` are times.
        folder_rate: frame rate of a folder of JPEGs, in which numbers may be missing; None for a
            video file.
    """
    if by_time:
        interval = frame_interval(seconds_F, otherwise=1.0)
    elif folder_rate is not None:
        interval = 1 / folder_rate
        places_P = places_P * interval
    else:
        return np.where((places_P >= 0) & (places_P < len(seconds_F)), places_P, -1).astype(int)
    near = nearest_frames(seconds_F, places_P, interval=interval)
    order_P = np.lexsort((near.gaps_n, near.rows_n))
    _, firsts = np.unique(near.rows_n[order_P], return_index=True)
    is_nearest_P = np.zeros(len(places_P), np.bool_)
    is_nearest_P[order_P[firsts]] = True
    return np.where(near.is_near_n & is_nearest_P, near.rows_n, -1)


def frames_of_records(
    table: Path,
    video: SourceVideo,
    form: RecordFormat,
    numbers_P: NDArray[np.int64],
    wanted_P: NDArray[np.bool_],
    *,
    grid: tuple[int, int],
    classes: Sequence[str],
    groups: bool = False,
) -> Iterator[SourceFrame]:
    """Return the wanted frames of a video that has records.

    Args:
        table: table of the records.
        video: the video.
        form: format of the records.
        numbers_P: number of objects of each frame.
        wanted_P: mask of the frames to read.
        grid: (height, width) of the frames.
        classes: names of the classes to keep.
        groups: whether to keep groups of objects.

    Raises:
        ObjectImportError: for the first invalid record.
    """

    def objects(records: Iterable[tuple[int, Any]]) -> Iterator[SourceObject]:
        for number, content in records:
            what = f"{video.path}: {form.record} {number:,}"
            yield from form.objects_in(content, video, what)

    def frames() -> Iterator[SourceFrame]:
        labels = {name: label for label, name in enumerate(classes)}
        found = zip(records_of(table, video), numbers_P.tolist(), wanted_P.tolist(), strict=True)
        for (place, records), number, is_wanted in found:
            if is_wanted:
                what = f"{video.path}: {video.at(place)}"
                if number > MOST_FRAME_DETECTIONS:
                    raise ObjectImportError(
                        f"{what}: expected at most {MOST_FRAME_DETECTIONS:,} objects, got "
                        f"{number:,}; remove some"
                    )
                yield frame_of(
                    what, place, objects(records), grid=grid, labels=labels, groups=groups
                )

    return checked(frames(), video, num_classes=len(classes))
