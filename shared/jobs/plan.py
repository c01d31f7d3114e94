"""The plan of a job: the assignment of videos, or parts of long videos, to its files.

The plan is saved as `plan.json` in the output folder before the first unit starts, so that a
resumed job writes the same files, on any machine and with any number of workers.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from orn.shared.config.fields import STRICT, problems_of
from orn.shared.data_files import file_digest, read_bounded
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import locked, write_text
from orn.shared.jobs.outputs import (
    EarlierResults,
    Marker,
    check_output_folder,
    check_same_job,
    earlier_results,
    start_over,
)
from orn.shared.time_ranges import TimeRange

PLAN_NAME = "plan.json"
SHARES_NAME = "shares.json"
SUMMARY_NAME = "job.json"
"""The summary of the last run of a job."""
UNIT_FRAMES = 2000
"""Default number of frames in a unit."""
UNKNOWN_FRAMES = 300
"""Assumed number of frames of a video whose header does not declare it."""
_MOST_BYTES = 2**29
"""Size limit of `plan.json`: more than two million videos."""
_REMEDY = "restore it, or choose a different --out"

_Number = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPart:
    """A video, a range of its frames, or some time ranges."""

    __pydantic_config__: ClassVar = STRICT

    video_id: str
    """Id in the data set's manifest."""
    start: _Number = 0
    """First frame of the range, from 0; with a frame rate, counted among the selected frames."""
    stop: _Number | None = None
    """Last frame + 1; None: the end of the video."""
    ranges: tuple[TimeRange, ...] = ()
    """Half-open, increasing, disjoint time ranges that restrict the frames; `start` and `stop` are
    then 0 and None. Empty: no restriction."""

    @property
    def is_whole(self) -> bool:
        """Whether it covers the whole video."""
        return self.start == 0 and self.stop is None and not self.ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The videos of one file."""

    __pydantic_config__: ClassVar = STRICT

    index: _Number
    """Number of the unit and of its file."""
    parts: tuple[UnitPart, ...]
    """Distinct videos in the order of the manifest."""
    frames: Annotated[float, Field(ge=0, lt=2**63)] = 0.0
    """Approximate size at planning time: frames according to the headers, for the progress bar; for
    a clip store, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """The file of a manifest that is not bundled with the project."""

    __pydantic_config__: ClassVar = STRICT

    path: str
    """Absolute path."""
    digest: str
    """`sha256:...` of its content."""

    @classmethod
    def of(cls, path: Path | None) -> Self | None:
        """Return the record of a file, or None if `path` is None.

        Raises:
            ConfigError: if the file cannot be read.
        """
        if path is None:
            return None
        return cls(path=str(path.absolute()), digest=file_digest(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedVideo:
    """A video that could not be decoded."""

    __pydantic_config__: ClassVar = STRICT

    id: str
    """Id in the data set's manifest."""
    reason: str
    """Message of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The units of a job, and the settings that must not change when it resumes."""

    __pydantic_config__: ClassVar = STRICT

    format: Literal["unit-plan"] = "unit-plan"
    """Name of the format."""
    format_version: Literal[1] = 1
    """Version of the format."""
    dataset: str
    """Name of the data set."""
    frames: str
    """Selection of frames: `all`, `labeled` or `imported`."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings on which the files depend, such as the detector or the batch size."""
    manifest: ManifestFile | None = None
    """The data set's manifest; may differ when a job resumes."""
    units: tuple[Unit, ...] = ()
    """The units, numbered from 0."""
    data_root: str | None = None
    """The data root as given when the job last started; may differ when a job resumes."""
    objects: dict[str, str] = field(default_factory=dict)
    """Digest of the objects of each video in the source of an import."""

    def __post_init__(self) -> None:
        """Normalize the settings to plain JSON values."""
        object.__setattr__(self, "settings", json.loads(json.dumps(self.settings)))

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Distinct ids of the videos, in the order of units."""
        ids = (part.video_id for unit in self.units for part in unit.parts)
        return tuple(dict.fromkeys(ids))

    def save(self, folder: Path, name: str = PLAN_NAME) -> None:
        """Write the plan to the output folder.

        Raises:
            PipelineError: if the file cannot be written.
        """
        write_text(folder / name, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, name: str = PLAN_NAME) -> Self | None:
        """Return the plan in a folder, or None if the folder has no plan.

        Raises:
            ConfigError: if the file is not a plan of this version.
        """
        path = folder / name
        if not os.path.lexists(path):
            return None
        content = read_bounded(path, most_bytes=_MOST_BYTES)
        try:
            return TypeAdapter(cls).validate_json(content)
        except ValidationError as err:
            reason = problems_of(err, cls)
            raise ConfigError(f"{path}: not a plan of this version ({reason}); {_REMEDY}") from err

    def resumed_from(self, saved: "Plan | None", folder: Path) -> "Plan":
        """Return this plan with the settings and the units of the saved plan of the same job.

        A setting in only one of the plans is not compared: a dry run needs no detector, and a Ray
        cluster chooses the device.

        Args:
            saved: the plan in the folder, or None.
            folder: the output folder.

        Raises:
            ConfigError: if the data set, the selection of frames or a setting differs.
        """
        if saved is None:
            return self
        recorded, requested = (
            {"dataset": plan.dataset, "frames": plan.frames}
            | {name: plan.settings[name] for name in saved.settings if name in self.settings}
            for plan in (saved, self)
        )
        remedy = f"resume with the recorded settings, {start_over(len(saved.video_ids))}"
        check_same_job(recorded, requested, where=folder / PLAN_NAME, remedy=remedy)
        return replace(self, settings=saved.settings, units=saved.units, objects=saved.objects)

    def extended(self, units: Iterable[Unit]) -> "Plan":
        """Return this plan with more units."""
        return replace(self, units=(*self.units, *units))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFolder:
    """Names of the files of a kind of job, `STEM-000041SUFFIX`, and of what is next to them."""

    command: str
    """The command or commands that write such a folder, for messages."""
    stem: str
    """First part, such as `shard`."""
    suffix: str
    """Last part, such as `.zarr.zip`."""
    plan: str = PLAN_NAME
    """Name of the plan next to them."""
    index: str
    """Name of the cache of their records."""

    @contextmanager
    def locked(self, folder: Path, *, is_share: bool = False) -> Iterator[None]:
        """Lock a folder for a single job during the block; a part of a job waits for the lock.

        Raises:
            PipelineError: if another process holds the lock, or that of a part, or the file cannot
                be written.
        """
        with locked(folder / self.plan, job=self.command, wait=is_share):
            for lock in () if is_share else folder.glob(".share-*.lock"):
                with locked(folder / lock.stem[1:], job=self.command):
                    pass
            yield

    @property
    def marker(self) -> Marker:
        """Marker of a folder that a job wrote: its plan."""
        return Marker(name=self.plan, mark=b'"format": "unit-plan"')

    @property
    def pattern(self) -> str:
        """Pattern of the names for `glob`."""
        return f"{self.stem}-*{self.suffix}"

    def path(self, folder: Path, unit_index: int) -> Path:
        """Return the file of a unit."""
        return folder / f"{self.stem}-{unit_index:06d}{self.suffix}"

    def next_index(self, folder: Path) -> int:
        """Return the first number after the numbers of the files in a folder."""
        numbers = map(self._number, folder.glob(self.pattern))
        return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)

    def _number(self, path: Path) -> str:
        return path.name.removesuffix(self.suffix)[len(self.stem) + 1 :]

    def missing(self, units: Iterable[Unit], folder: Path) -> tuple[Unit, ...]:
        """Return the units without a file in the folder, in order."""
        return tuple(unit for unit in units if not self.path(folder, unit.index).exists())

    def check_folder(
        self, folder: Path, *, reads: Iterable[Path] = (), fresh: bool = False
    ) -> None:
        """Check an output folder before a job.

        Args:
            folder: the output.
            reads: files that the job reads; iterated only if it removes earlier results.
            fresh: whether it removes them.

        Raises:
            ConfigError: if the folder contains other files, or must not be emptied.
        """
        if fresh:
            self.earlier(folder, reads=reads)
        else:
            check_output_folder(folder, marker=self.marker, pattern=self.pattern)

    def earlier(self, folder: Path, *, reads: Iterable[Path] = ()) -> EarlierResults:
        """Return the results of an earlier job; see `earlier_results`."""
        numbered = (
            path for path in sorted(folder.glob(self.pattern)) if self._number(path).isdecimal()
        )
        beside = (folder / name for name in (self.index, SUMMARY_NAME, SHARES_NAME))
        there = filter(os.path.lexists, beside)
        files = (*numbered, *there, folder / self.plan)  # the marker is removed last
        return earlier_results(folder, files, marker=self.marker, reads=reads)

    def saved_plan(self, folder: Path) -> Plan | None:
        """Return the plan in a folder; None if there is neither a plan nor a file.

        Raises:
            ConfigError: if there are files without a plan, or the plan is not of this version.
        """
        saved = Plan.load(folder, self.plan)
        if saved is None and any(folder.glob(self.pattern)):
            raise ConfigError(
                f"{folder}: {self.plan} is missing, so the job cannot resume; {_REMEDY}"
            )
        return saved
