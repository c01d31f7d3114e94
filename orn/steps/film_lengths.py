"""How long the videos of a data set are, from the headers of some of them: how many windows long
videos have, and how much of its videos a table of segments covers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from statistics import fmean

from orn.data_manifests.records import Dataset, Video
from orn.shared.errors import PipelineError
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import estimate
from orn.stage2_train.clips.windows import duration_of, window_seconds, windows_per_drawn

_MOST_PROBED = 20
"""Videos whose headers are read."""
_LEAST_COVERED = 0.5
"""Share of its videos that a table of clips covers, if finding times is not suggested."""


def _probed(videos: Sequence[Video]) -> Iterator[tuple[Video, float]]:
    """Yield some videos, at equal distances in their list, with their duration in seconds."""
    for video in videos[:: -(-len(videos) // _MOST_PROBED) or 1]:
        with suppress(PipelineError):
            yield video, estimate(video.path, rate=video.rate).seconds


def windows_of_film(dataset: Dataset) -> int:
    """Return the approximate number of windows of a long video, at least 1."""
    assert dataset.films is not None, "a data set of clips"
    seconds = [own for _, own in _probed(dataset.videos)]
    return max(round(fmean(seconds) * dataset.films.rate), 1) if seconds else 1


def windows_of_epoch(dataset: Dataset, clip_frames: int, num_films: int, of_film: int) -> int:
    """Return the approximate number of windows in an epoch of training.

    Args:
        dataset: long videos.
        clip_frames: number of frames of a clip.
        num_films: number of training films.
        of_film: windows of each of them.
    """
    assert dataset.films is not None, "a data set of clips"
    rate, total = dataset.films.rate, num_films * of_film
    share = num_films / max(len(dataset.videos), 1)
    active = min(round(rate * share * sum(map(duration_of, dataset.segments))), total)
    one_of = windows_per_drawn(window_seconds(dataset, clip_frames), rate)
    return max((active + min(active, total - active)) // one_of, 1)


def uncovered_advice(dataset: Dataset) -> Iterator[str]:
    """Yield the advice to find times, if the rows of a table of clips are parts of videos and cover
    less than half of them."""
    if dataset.films is not None or dataset.form != "segments":
        return
    ranges: dict[str, list[TimeRange]] = defaultdict(list)
    for segment in dataset.segments:
        ranges[segment.video_id].append(TimeRange(segment.start_seconds, segment.stop_seconds))
    covered, total = 0.0, 0.0
    for video, seconds in _probed([own for own in dataset.videos if own.id in ranges]):
        covered += TimeRanges.of(ranges[video.id]).length(seconds)
        total += seconds
    if covered < _LEAST_COVERED * total:
        yield (
            f"rows cover {covered / total:.0%} of their videos, and this run classifies what they "
            "cut out; to find when activities happen, run `orn manifest new TABLE.csv --intervals "
            "--fresh` and `orn run TABLE.csv --intervals`"
        )
