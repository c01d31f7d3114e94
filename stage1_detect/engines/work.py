"""What a job asks of an engine, and what every engine does with a unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.manifests.records import Video
from shared.shards.plan import Unit, shard_path
from stage1_detect.pipeline import Detector, UnitResult, detect_unit
from stage1_detect.unit_reader import UnitReader

__all__ = ["Engine", "UnitDetector", "UnitWork"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitWork:
    """Units to detect, and what is needed for it."""

    units: Sequence[Unit]
    """What is still to do, in the order of the plan."""
    detector: Detector
    """The detector of this process; of one that leaves detecting to others (`driver_device`), only
    the entry is asked for."""
    videos: Mapping[str, Video]
    """The videos of the plan by id."""
    folder: Path
    """Where the shards go."""
    batch: int
    """Most frames that the network sees at once."""
    advance: Callable[[int], None] = lambda frames: None
    """Called with numbers of frames now and then."""


class UnitDetector:
    """A detector that makes the shards of a job's units, one after another, in any process."""

    def __init__(
        self, detector: Detector, *, videos: Mapping[str, Video], folder: Path, batch: int
    ) -> None:
        """Opens nothing yet; the arguments are as `UnitWork` has them."""
        self._detector = detector
        self._folder = folder
        self._reader = UnitReader(videos, batch=batch, prepare=detector.prepare)

    def __call__(
        self, unit: Unit, advance: Callable[[int], None] = lambda frames: None
    ) -> UnitResult:
        """Writes the shard of a unit; `advance` is called with numbers of frames."""
        path = shard_path(self._folder, unit.index)
        return detect_unit(
            unit, source=self._reader, detector=self._detector, path=path, advance=advance
        )


class Engine(Protocol):
    """Who detects the units of a job."""

    @property
    def driver_device(self) -> str | None:
        """The device on which this process detects; None if it leaves that to others."""

    @property
    def device_type(self) -> str | None:
        """`cpu` or `cuda`; None where that is not known yet."""

    def joined(self) -> AbstractContextManager[None]:
        """Takes what the engine needs while the block runs, or fails for want of it; `run` within
        the block uses the same."""

    def run(self, work: UnitWork) -> Iterator[UnitResult]:
        """Detects the units; each result is handed out when its shard is on the disk, in any order.

        If anything raises, ctrl-C and SIGTERM included, units that are not begun are dropped and
        those in work leave nothing; shards that are written stay.
        """
