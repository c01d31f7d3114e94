"""Ranges of a video's time, in seconds, half-open, and what several of them cover together.

An end that is None is open: the range begins with the video, or ends with it, wherever that is.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MOST_SECONDS = 1e10
"""Latest time of a frame, and earliest below zero: 317 years. Up to here a float64 tells
microseconds apart."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The times [start_seconds, stop_seconds)."""

    start_seconds: float | None = None
    stop_seconds: float | None = None

    @property
    def start(self) -> float:
        """The first second; minus infinity where it is open."""
        return -math.inf if self.start_seconds is None else self.start_seconds

    @property
    def stop(self) -> float:
        """The first second after it; infinity where it is open."""
        return math.inf if self.stop_seconds is None else self.stop_seconds

    def __contains__(self, seconds: float) -> bool:
        return self.start <= seconds < self.stop

    def places(self, seconds_F: NDArray[np.float64]) -> tuple[int, int]:
        """The places [first, last) of (F,) increasing times that lie in it."""
        first, last = np.searchsorted(seconds_F, (self.start, self.stop)).tolist()
        return first, max(first, last)


@dataclass(frozen=True, slots=True)
class TimeRanges:
    """A set of times: ranges in order, none touching another; made by `TimeRanges.of`."""

    ranges: tuple[TimeRange, ...]

    @classmethod
    def of(cls, ranges: Iterable[TimeRange]) -> Self:
        """What some ranges, in any order, cover together."""
        joined: list[TimeRange] = []
        for each in sorted(ranges, key=lambda one: (one.start, one.stop)):
            if each.start >= each.stop:
                continue
            if not joined or each.start > joined[-1].stop:
                joined.append(each)
            elif each.stop > joined[-1].stop:
                joined[-1] = TimeRange(joined[-1].start_seconds, each.stop_seconds)
        return cls(tuple(joined))

    def __contains__(self, seconds: float) -> bool:
        return any(seconds in each for each in self.ranges)

    def covers(self, other: "TimeRange | TimeRanges") -> bool:
        """Whether every time of `other` is one of these; an empty range always is."""
        wanted = other.ranges if isinstance(other, TimeRanges) else (other,)
        return all(
            theirs.start >= theirs.stop
            or any(ours.start <= theirs.start and theirs.stop <= ours.stop for ours in self.ranges)
            for theirs in wanted
        )

    def union(self, other: "TimeRanges") -> "TimeRanges":
        """The times of both."""
        return TimeRanges.of([*self.ranges, *other.ranges])

    @property
    def end(self) -> float:
        """The first second after all of them; minus infinity where there is none."""
        return self.ranges[-1].stop if self.ranges else -math.inf

    def length(self, duration: float) -> float:
        """How many seconds of a video of `duration` seconds they cover."""
        return sum(
            max(min(each.stop, duration) - max(each.start, 0.0), 0.0) for each in self.ranges
        )


ALL_TIMES = TimeRanges((TimeRange(),))
"""A whole video."""
