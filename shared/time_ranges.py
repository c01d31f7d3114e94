"""Half-open time ranges of a video in seconds, and unions of ranges.

A start or stop of None is unbounded: the start or the end of the video.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # the options of commands, which --help imports, need this module
    import numpy as np
    from numpy.typing import NDArray

MOST_SECONDS = 1e10
"""Limit on a frame's absolute time, 317 years, up to which float64 resolves microseconds."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The range [start_seconds, stop_seconds)."""

    start_seconds: float | None = None
    stop_seconds: float | None = None

    @property
    def start(self) -> float:
        """Start in seconds; minus infinity if unbounded."""
        return -math.inf if self.start_seconds is None else self.start_seconds

    @property
    def stop(self) -> float:
        """Stop in seconds; infinity if unbounded."""
        return math.inf if self.stop_seconds is None else self.stop_seconds

    def __contains__(self, seconds: float) -> bool:
        return self.start <= seconds < self.stop

    def rows(self, seconds_F: "NDArray[np.float64]") -> tuple[int, int]:
        """Return the indices [first, last) of (F,) increasing times inside the range."""
        first, last = bisect_left(seconds_F, self.start), bisect_left(seconds_F, self.stop)
        return first, max(first, last)


@dataclass(frozen=True, slots=True)
class TimeRanges:
    """A union of ordered, disjoint ranges; created by `TimeRanges.of`."""

    ranges: tuple[TimeRange, ...]

    @classmethod
    def of(cls, ranges: Iterable[TimeRange]) -> Self:
        """Return the union of ranges in any order."""
        joined: list[TimeRange] = []
        for span in sorted(ranges, key=lambda one: (one.start, one.stop)):
            if span.start >= span.stop:
                continue
            if not joined or span.start > joined[-1].stop:
                joined.append(span)
            elif span.stop > joined[-1].stop:
                joined[-1] = TimeRange(joined[-1].start_seconds, span.stop_seconds)
        return cls(tuple(joined))

    def __contains__(self, seconds: float) -> bool:
        return any(seconds in span for span in self.ranges)

    def covers(self, other: "TimeRange | TimeRanges") -> bool:
        """Return whether `other` is a subset; an empty range always is."""
        theirs = other.ranges if isinstance(other, TimeRanges) else (other,)
        return all(
            span.start >= span.stop
            or any(ours.start <= span.start and span.stop <= ours.stop for ours in self.ranges)
            for span in theirs
        )

    def union(self, other: "TimeRanges") -> "TimeRanges":
        """Return the union with other ranges."""
        return TimeRanges.of([*self.ranges, *other.ranges])

    @property
    def end(self) -> float:
        """Stop of the last range in seconds; minus infinity if there are no ranges."""
        return self.ranges[-1].stop if self.ranges else -math.inf

    def length(self, duration: float) -> float:
        """Return the total length in seconds inside a video of `duration` seconds."""
        return sum(
            max(min(span.stop, duration) - max(span.start, 0.0), 0.0) for span in self.ranges
        )


ALL_TIMES = TimeRanges((TimeRange(),))
"""The whole video."""
