"""What a job asks of an engine, and what every engine does with a unit.

An engine has `run`, which takes a `UnitWork` and hands out each result when its shard is on the
disk, in any order; if anything raises, ctrl-C and SIGTERM included, units that are not begun are
dropped and those in work leave nothing, while shards that are written stay. Its `driver_device` is
where this process detects (None: it leaves that to others), its `device_type` is `cpu` or `cuda`
(None: not known yet). A block in `joined()` has what the engine needs, or fails for want of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.manifests.records import Video
from shared.shards.plan import Unit, shard_path
from stage1_detect.pipeline import Detector, UnitResult, detect_unit
from stage1_detect.unit_reader import UnitReader


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
        self._reader = UnitReader(videos, batch=batch, prepare=detector.prepare, folder=folder)

    def __call__(
        self, unit: Unit, advance: Callable[[int], None] = lambda frames: None
    ) -> UnitResult:
        """Writes the shard of a unit; `advance` is called with numbers of frames."""
        path = shard_path(self._folder, unit.index)
        return detect_unit(
            unit, source=self._reader, detector=self._detector, path=path, advance=advance
        )
