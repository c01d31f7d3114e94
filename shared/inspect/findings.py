"""Findings: oddities in a shard that are worth checking before training. Findings are not damage,
which `orn verify` reports. Axes: F frames of the shard.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import PipelineError
from orn.shared.jobs.plan import Plan
from orn.shared.shards.files import shard_path
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.text import counted

FindingKind = Literal["empty frames", "time jump", "fewer frames"]

_BESIDE_FRAMES = 5
"""Number of frames on each side of empty frames from which their number of objects is expected."""
_MANY = 2.0
"""Minimum mean number of detections in these frames."""
_LONGEST_HOLE = 15
"""Maximum length of a run of empty frames; a longer run may really show no objects."""
_JUMP_INTERVALS = 2.5
"""Minimum gap between consecutive frames that counts as a jump, in median intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An oddity in a frame or a video."""

    kind: FindingKind
    """Type of the finding."""
    video_id: str
    row: int | None
    """Row of the shard at which it begins; None if the video has no frames."""
    frame: int | None
    """Index of the same frame in the decoded stream."""
    text: str
    """Description, without the name of the video."""


def findings(shard: Shard) -> tuple[Finding, ...]:
    """Return all findings by video, in the order of frames.

    Findings are empty frames between frames with many detections; jumps in time without a gap in
    frame indices; and videos with fewer frames than their header declares, if the shard should
    contain all of them.

    Raises:
        ShardFormatError: if the shard is damaged.
    """
    index_F, seconds_F = shard.frame_index(), shard.frame_seconds()
    num_F = np.diff(shard.array("frame_offsets"))
    partial = _partial_videos(shard)
    found: list[Finding] = []
    for video in shard.videos:
        start, stop = shard.video_rows(video.id)
        rows = slice(start, stop)
        here = _holes(video, num_F[rows], index_F[rows], first_row=start)
        here += _jumps(video, index_F[rows], seconds_F[rows], first_row=start)
        here.sort(key=lambda each: each.row or 0)
        if video.id not in partial and shard.detector.frame_rate is None:
            here += _missing(video, index_F[rows], last_row=stop - 1)
        found += here
    return tuple(found)


def _holes(
    video: VideoEntry, num_f: NDArray[np.int64], index_f: NDArray[np.int64], *, first_row: int
) -> list[Finding]:
    is_empty = np.concatenate([[False], num_f == 0, [False]])
    edges = np.flatnonzero(is_empty[1:] != is_empty[:-1])
    holes = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        before = num_f[max(start - _BESIDE_FRAMES, 0) : start]
        after = num_f[stop : stop + _BESIDE_FRAMES]
        if stop - start > _LONGEST_HOLE or not len(before) or not len(after):
            continue
        if min(before.mean(), after.mean()) < _MANY:
            continue
        first, last = int(index_f[start]), int(index_f[stop - 1])
        which = f"frame {first} is" if first == last else f"frames {first} to {last} are"
        text = (
            f"{which} without detections; the mean is "
            f"{before.mean():.1f} before and {after.mean():.1f} after"
        )
        holes.append(_finding("empty frames", video, first_row + start, first, text))
    return holes


def _jumps(
    video: VideoEntry, index_f: NDArray[np.int64], seconds_f: NDArray[np.float64], *, first_row: int
) -> list[Finding]:
    """Return jumps in time between frames with consecutive indices."""
    steps = np.diff(seconds_f)
    if not len(steps):
        return []
    follows = np.diff(index_f) == 1
    usual = float(np.median(steps[follows])) if follows.any() else 1 / video.rate
    is_odd = follows & (steps > _JUMP_INTERVALS * usual)
    return [
        _finding(
            "time jump",
            video,
            first_row + place + 1,
            int(index_f[place + 1]),
            f"from frame {index_f[place]} to {index_f[place + 1]} the time jumps from "
            f"{seconds_f[place]:.3f} to {seconds_f[place + 1]:.3f} s; the median is {usual:.3f} s",
        )
        for place in np.flatnonzero(is_odd).tolist()
    ]


def _missing(video: VideoEntry, index_f: NDArray[np.int64], *, last_row: int) -> list[Finding]:
    """Return a finding if frames are missing at the end of a video."""
    promised, held = video.header_frames, len(index_f)
    if promised is None or held >= promised:
        return []
    if held and (index_f[0] != 0 or index_f[-1] != held - 1):
        return []
    text = f"has {counted(held, 'frame')}, but its header declares {promised}"
    if not held:
        return [_finding("fewer frames", video, None, None, text)]
    return [_finding("fewer frames", video, last_row, int(index_f[-1]), text)]


def _partial_videos(shard: Shard) -> set[str]:
    """Return the videos that are only partially requested by the plan next to the shard."""
    folder = shard.path.parent
    try:
        plan = Plan.load(folder)
    except PipelineError:
        return set()
    units = () if plan is None else plan.units
    return {
        part.video_id
        for unit in units
        if shard_path(folder, unit.index).name == shard.path.name
        for part in unit.parts
        if not part.is_whole
    }


def _finding(
    kind: FindingKind, video: VideoEntry, row: int | None, frame: int | None, text: str
) -> Finding:
    return Finding(kind=kind, video_id=video.id, row=row, frame=frame, text=text)
