"""What is odd about a shard: what a person should look at before trusting it with a training.

Nothing here is damage; `orn verify` finds that. F frames of the shard.
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
"""Frames on each side of empty ones that say whether there should be something."""
_MANY = 2.0
"""Detections a frame, on average, that these must have."""
_LONGEST_HOLE = 15
"""Empty frames in a row; a longer run may well show nothing."""
_JUMP_INTERVALS = 2.5
"""Time from one frame to the next, in the video's usual intervals, from which on it is a jump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something odd at a frame, or about a video."""

    kind: FindingKind
    """What sort of thing it is."""
    video_id: str
    row: int | None
    """Row of the shard where it begins; None where the video has no frame."""
    frame: int | None
    """The same frame's place in the decoded stream."""
    text: str
    """What is odd, for a person; does not repeat the video."""


def findings(shard: Shard) -> tuple[Finding, ...]:
    """Everything odd, video by video and each from its first frame to its last.

    Frames without detections inside a run of frames with many; jumps in time that are no gap in
    the frames' numbers; videos with fewer frames than their header promises, where the shard was
    to hold all of them.

    Raises:
        ShardFormatError: if something in the shard is damaged.
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
            f"{which} without detections; those around have "
            f"{before.mean():.1f} before and {after.mean():.1f} after"
        )
        holes.append(_finding("empty frames", video, first_row + start, first, text))
    return holes


def _jumps(
    video: VideoEntry, index_f: NDArray[np.int64], seconds_f: NDArray[np.float64], *, first_row: int
) -> list[Finding]:
    """Frames that follow each other by number and not by time; nothing was skipped between them."""
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
            f"from frame {index_f[place]} to {index_f[place + 1]} time goes from "
            f"{seconds_f[place]:.3f} to {seconds_f[place + 1]:.3f} s; usual are {usual:.3f} s",
        )
        for place in np.flatnonzero(is_odd).tolist()
    ]


def _missing(video: VideoEntry, index_f: NDArray[np.int64], *, last_row: int) -> list[Finding]:
    """Fewer frames than promised, unless the shard has a part that begins later or has gaps."""
    promised, held = video.header_frames, len(index_f)
    if promised is None or held >= promised:
        return []
    if held and (index_f[0] != 0 or index_f[-1] != held - 1):
        return []
    text = f"has {counted(held, 'frame')}, its header promises {promised}"
    if not held:
        return [_finding("fewer frames", video, None, None, text)]
    return [_finding("fewer frames", video, last_row, int(index_f[-1]), text)]


def _partial_videos(shard: Shard) -> set[str]:
    """Videos of which the plan beside the shard wants a part only."""
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
