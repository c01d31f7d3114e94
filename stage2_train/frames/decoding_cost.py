"""What it costs to decode clips from their videos, measured on a few and said in the log."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

logger = logging.getLogger(__name__)


def spread_over_videos(video_ids: Sequence[str], number: int) -> list[int]:
    """Places of the first segments of up to `number` videos, far apart in the order of the table;
    `video_ids` has the video of each segment."""
    firsts = sorted({video: place for place, video in reversed([*enumerate(video_ids)])}.values())
    step = max(-(-len(firsts) // number), 1)
    return firsts[::step]


def warn_of_decoding(
    make_clip: Callable[[int], object], segments: Iterable[int], *, workers: int
) -> None:
    """Measures how long the clips of some segments take and says in the log what training without a
    store costs, where so many processes make batches."""
    began = time.perf_counter()
    number = len([make_clip(segment) for segment in segments])
    if number == 0:
        return
    seconds = (time.perf_counter() - began) / number
    logger.warning(
        "no clip store: each clip is decoded from its video, which took %.3f s for each of %d "
        "clips, so %d processes make at most %.3g clips a second; `orn clips` decodes every video "
        "once and makes loading take a few milliseconds",
        *(seconds, number, max(workers, 1), max(workers, 1) / seconds),
    )
