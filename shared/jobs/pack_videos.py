"""Pack videos, or parts of long ones, into the units of a job, of which each gives one file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from orn.shared.jobs.plan import UNIT_FRAMES, UNKNOWN_FRAMES, Unit, UnitPart


def plan_units(
    videos: Sequence[tuple[str, int | None]], unit_frames: int = UNIT_FRAMES, *, first: int = 0
) -> tuple[Unit, ...]:
    """Pack videos into units in order, and split long ones into ranges of `unit_frames`.

    The last range of a video is open, because headers miscount frames.

    Args:
        videos: pairs of id and number of frames in the header; None or 0 if unknown.
        unit_frames: approximate number of frames in a unit, at least 1.
        first: number of the first unit.
    """
    parts = (part for video in videos for part in _ranges(*video, unit_frames))
    return packed(parts, unit_frames, first=first)


def _ranges(
    video_id: str, frames: int | None, unit_frames: int
) -> Iterator[tuple[UnitPart, float]]:
    start = 0
    while frames and frames - start > unit_frames:
        stop = start + unit_frames
        yield UnitPart(video_id=video_id, start=start, stop=stop), unit_frames
        start = stop
    yield UnitPart(video_id=video_id, start=start), (frames or UNKNOWN_FRAMES) - start


def packed(
    parts: Iterable[tuple[UnitPart, float]], most: float, *, first: int = 0
) -> tuple[Unit, ...]:
    """Pack parts of videos into units in order; adjacent time ranges of a video become one part.

    The result is deterministic, and appending parts changes only the last unit.

    Args:
        parts: pairs of a part and its approximate size: its frames, or its bytes.
        most: size of a unit; a larger part is a unit by itself.
        first: number of the first unit.
    """
    units: list[list[UnitPart]] = []
    sizes: list[float] = []
    room = 0.0
    for part, size in parts:
        if not units or size > room:
            units.append([])
            sizes.append(0.0)
            room = most
        unit = units[-1]
        is_continued = bool(unit) and unit[-1].video_id == part.video_id
        unit.append(replace(part, ranges=unit.pop().ranges + part.ranges) if is_continued else part)
        sizes[-1] += size
        room -= size
    return tuple(
        Unit(index=index, parts=tuple(unit), frames=size)
        for index, (unit, size) in enumerate(zip(units, sizes, strict=True), first)
    )
