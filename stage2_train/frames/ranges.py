"""Which times of a video a store holds: half-open ranges of seconds, `None` for an open end.

Frames outside every segment of a long video are never asked for, so a store may leave them out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import ClipStoreError
from shared.manifests.records import Segment

__all__ = ["ALL_TIMES", "TimeRange", "TimeRanges", "labelled_ranges"]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The times [start, stop)."""

    start: float = float("-inf")
    """First second that belongs to it."""
    stop: float = float("inf")
    """First second that no longer does."""


@dataclass(frozen=True, slots=True)
class TimeRanges:
    """Ranges in order, none touching another; made by `TimeRanges.of`."""

    ranges: tuple[TimeRange, ...]
    """In order of time."""

    @classmethod
    def of(cls, ranges: Sequence[TimeRange]) -> "TimeRanges":
        """What some ranges, in any order, cover together."""
        joined: list[TimeRange] = []
        for each in sorted(ranges, key=lambda one: (one.start, one.stop)):
            if each.start >= each.stop:
                continue
            if joined and each.start <= joined[-1].stop:
                joined[-1] = TimeRange(joined[-1].start, max(joined[-1].stop, each.stop))
            else:
                joined.append(each)
        return cls(tuple(joined))

    @classmethod
    def from_text(cls, text: str) -> "TimeRanges":
        """The inverse of `to_text`.

        Raises:
            ClipStoreError: if the text is no list of pairs.
        """
        try:
            return cls.of([TimeRange(*_ends(*pair)) for pair in json.loads(text)])
        except (ValueError, TypeError) as err:
            raise ClipStoreError(f"clip store: wanted ranges of seconds, found {text!r}") from err

    def to_text(self) -> str:
        """JSON pairs [start, stop] in seconds, null for an open end."""
        return json.dumps(
            [
                [None if abs(end) == float("inf") else end for end in (each.start, each.stop)]
                for each in self.ranges
            ]
        )

    def __contains__(self, seconds: float) -> bool:
        return any(each.start <= seconds < each.stop for each in self.ranges)

    def covers(self, other: "TimeRanges") -> bool:
        """Whether every time of `other` is in these ranges."""
        return all(
            any(ours.start <= theirs.start and theirs.stop <= ours.stop for ours in self.ranges)
            for theirs in other.ranges
        )

    def union(self, other: "TimeRanges") -> "TimeRanges":
        """The times of both."""
        return TimeRanges.of([*self.ranges, *other.ranges])

    @property
    def end(self) -> float:
        """The first second after all of them; minus infinity where there is none."""
        return self.ranges[-1].stop if self.ranges else float("-inf")

    def length(self, duration: float) -> float:
        """How many seconds of a video of `duration` seconds they cover."""
        return sum(
            max(min(each.stop, duration) - max(each.start, 0.0), 0.0) for each in self.ranges
        )


def _ends(start: float | None, stop: float | None) -> tuple[float, float]:
    return (
        float("-inf") if start is None else float(start),
        float("inf") if stop is None else float(stop),
    )


ALL_TIMES = TimeRanges((TimeRange(),))
"""A whole video."""


def labelled_ranges(segments: Sequence[Segment]) -> dict[str, TimeRanges]:
    """The times that the segments of each video cover; videos without a segment are absent."""
    found: dict[str, list[TimeRange]] = {}
    for segment in segments:
        ends = _ends(segment.start_seconds, segment.stop_seconds)
        found.setdefault(segment.video_id, []).append(TimeRange(*ends))
    return {video_id: TimeRanges.of(ranges) for video_id, ranges in found.items()}
