"""How both sides of a benchmark grow with the number of objects and of frames."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Sides", "grown", "growth_sizes"]

SLOTS = (5, 10, 20, 40)
FRAMES = (4, 8, 16)
LONGEST_SECONDS = 60.0
"""A side that is expected to take longer is left out and recorded as null."""

SHORT_SECONDS = 1.0
"""What takes less is measured five times more, and the median of those counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is measured at one size: a call of each is one measurement."""

    ours: dict[str, Callable[[], object]]
    """Ours, by name."""
    reference: Callable[[], object]
    """The reference."""
    reference_bytes: int
    """About what the reference allocates."""


def growth_sizes(*, frames: int, slots: int) -> list[tuple[int, int]]:
    """(T, K) to measure: other K at the T given, then other T at the K given."""
    return [(frames, k) for k in SLOTS] + [(t, slots) for t in FRAMES if t != frames]


def grown(
    make: Callable[[int, int], Sides],
    sizes: list[tuple[int, int]],
    *,
    base: tuple[int, int],
    base_seconds: float,
) -> list[dict[str, Any]]:
    """One row a size: seconds of ours and of the reference, one measurement each if it takes long.

    Args:
        make: both sides at T frames and K slots.
        sizes: (T, K) to measure.
        base: the size that was measured before.
        base_seconds: what the reference took there, from which the other sizes are guessed.
    """
    rows = []
    for frames, slots in sizes:
        sides = make(frames, slots)
        row: dict[str, Any] = {"frames": frames, "slots": slots}
        for name, way in sides.ours.items():
            row[f"{name}_seconds"] = _seconds_of_ours(way)
        expected = base_seconds * max(slots / base[1], 1) * max(frames / base[0], 1) ** 2
        fits = sides.reference_bytes < _memory_bytes() / 2
        row["reference_seconds"] = (
            _seconds(sides.reference) if fits and expected < LONGEST_SECONDS else None
        )
        rows.append(row)
    return rows


def _seconds_of_ours(way: Callable[[], object]) -> float:
    """The first call of a size also chooses algorithms, which only matters to a short one."""
    first = _seconds(way)
    if first > SHORT_SECONDS:
        return first
    return statistics.median(_seconds(way) for _ in range(5))


def _seconds(way: Callable[[], object]) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
