"""The plan of a job: which videos, or which parts of long ones, each of its files is made of.

It is written to `plan.json` in the folder of the files before the first unit starts, so that a job
that goes on later, elsewhere or with more workers makes the same files.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from orn.shared.common_options import UNIT_FRAMES
from orn.shared.config.bounded import file_digest, read_bounded
from orn.shared.config.fields import STRICT, explain
from orn.shared.data_files import is_there
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.same_job import check_same_job
from orn.shared.time_ranges import TimeRange

PLAN_NAME = "plan.json"
UNKNOWN_FRAMES = 300
"""Frames that a video counts for when its header does not say how many it has."""

_MOST_BYTES = 2**29
"""Of `plan.json`: more than two million videos."""
_REMEDY = "use --fresh to start over, or another --out"

_Number = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPart:
    """A video, a range of its frames, or some ranges of its time."""

    __pydantic_config__: ClassVar = STRICT

    video_id: str
    """Id in the data set's manifest."""
    start: _Number = 0
    """First frame of the range, from 0; at a rate, of the frames that it picks."""
    stop: _Number | None = None
    """Last frame + 1; None: to the end of the video, wherever that is."""
    ranges: tuple[TimeRange, ...] = ()
    """If there are any, the frames in them only, whatever their numbers: half-open, increasing,
    apart from each other; `start` and `stop` are then 0 and None."""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the video."""
        return self.start == 0 and self.stop is None and not self.ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one file is made of."""

    __pydantic_config__: ClassVar = STRICT

    index: _Number
    """Number of the unit and of its file."""
    parts: tuple[UnitPart, ...]
    """Its videos in the order of the manifest; no video twice."""
    frames: Annotated[float, Field(ge=0, lt=2**63)] = 0.0
    """Approximate number of frames, by the headers of its videos at planning time. Progress counts
    these, so no header is read again. 0 for jobs that do not count frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """The file of a data set's manifest, where it does not come with the project."""

    __pydantic_config__: ClassVar = STRICT

    path: str
    """Absolute."""
    digest: str
    """`sha256:...` of its content."""

    @classmethod
    def of(cls, path: Path | None) -> Self | None:
        """Return the record of a file; None for None.

        Raises:
            ConfigError: if it cannot be read any more.
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
    """What went wrong, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The units of a job, and all that must stay the same for it to go on."""

    __pydantic_config__: ClassVar = STRICT

    format: Literal["unit-plan"] = "unit-plan"
    """What the file is."""
    format_version: Literal[1] = 1
    """Its version."""
    dataset: str
    """Name of the data set."""
    frames: str
    """Which frames are asked for: `all`, `labelled` or `imported`."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What the files depend on, by name, such as the detector, the size of a batch."""
    manifest: ManifestFile | None = None
    """Where the data set's manifest is found again; a job goes on whatever this is."""
    units: tuple[Unit, ...]
    """The units, numbered from 0."""
    data_root: str | None = None
    """The folder under which the data set lay, as it was given, when the job last began; a job goes
    on whatever this is."""

    def __post_init__(self) -> None:
        """Bring the settings into the form that they have after reading."""
        object.__setattr__(self, "settings", json.loads(json.dumps(self.settings)))

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Ids of the videos of the units in their order, each once."""
        ids = (part.video_id for unit in self.units for part in unit.parts)
        return tuple(dict.fromkeys(ids))

    def save(self, folder: Path) -> None:
        """Write `plan.json` into the folder of the files, unless it is there already.

        Raises:
            PipelineError: if the disk refuses.
        """
        if Plan.load(folder) != self:
            write_text(folder / PLAN_NAME, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Return the plan in a folder, or None where there is none.

        Raises:
            ConfigError: if `plan.json` is not a plan of this version.
        """
        path = folder / PLAN_NAME
        if not is_there(path):
            return None
        content = read_bounded(path, most_bytes=_MOST_BYTES)
        try:
            plan = TypeAdapter(cls).validate_json(content)
            if any(unit.index != number for number, unit in enumerate(plan.units)):
                raise ValueError("units: expected them numbered from 0")
        except ValueError as err:  # a ValidationError is one
            reason = explain(err, cls) if isinstance(err, ValidationError) else err
            raise ConfigError(
                f"{path}: not a plan that this release reads ({reason}); {_REMEDY}"
            ) from err
        return plan

    def resumed_from(self, saved: "Plan | None", folder: Path) -> "Plan":
        """Return this plan with the settings of the saved one, of which it is the same job.

        A setting that only one of the two names is not compared: a look at the amount of work needs
        no detector, and a Ray cluster chooses the device.

        Args:
            saved: the plan in the folder; None where there is none, and anything goes.
            folder: where it lies.

        Raises:
            ConfigError: if they differ, naming each field with both values.
        """
        if saved is None:
            return self
        found, expected = (
            {"dataset": plan.dataset, "frames": plan.frames}
            | {name: plan.settings[name] for name in saved.settings if name in self.settings}
            | {"units": asdict(plan)["units"]}
            for plan in (saved, self)
        )
        check_same_job(found, expected, place=folder / PLAN_NAME, remedy=_REMEDY)
        return replace(self, settings=saved.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFiles:
    """The files that units of a kind of job become: `STEM-000041SUFFIX`."""

    stem: str
    """Such as `shard`."""
    suffix: str
    """Such as `.zarr.zip`."""

    @property
    def pattern(self) -> str:
        """Their names, as `glob` takes them."""
        return f"{self.stem}-*{self.suffix}"

    def path(self, folder: Path, unit_index: int) -> Path:
        """Return the file of a unit."""
        return folder / f"{self.stem}-{unit_index:06d}{self.suffix}"

    def next_index(self, folder: Path) -> int:
        """Return the number of the first new file behind those in a folder."""
        numbers = (
            path.name.removesuffix(self.suffix)[len(self.stem) + 1 :]
            for path in folder.glob(self.pattern)
        )
        return max((int(each) + 1 for each in numbers if each.isdecimal()), default=0)

    def missing(self, units: Iterable[Unit], folder: Path) -> tuple[Unit, ...]:
        """Return the units whose file is not in the folder, in their order."""
        return tuple(unit for unit in units if not self.path(folder, unit.index).exists())

    def check_folder(self, folder: Path) -> None:
        """Raise ConfigError if a folder is not one for these files."""
        check_output_folder(folder, ours=[PLAN_NAME, self.pattern])

    def saved_plan(self, folder: Path, *, remedy: str = _REMEDY) -> Plan | None:
        """Return the plan in a folder; None where there is neither plan nor file.

        Raises:
            ConfigError: if there are files without a plan (the message ends with `remedy`), or
                `plan.json` is not a plan of this version.
        """
        saved = Plan.load(folder)
        if saved is None and any(folder.glob(self.pattern)):
            raise ConfigError(
                f"{folder}: has {self.stem}s but no {PLAN_NAME}, so they are of no job that could "
                f"go on; {remedy}"
            )
        return saved


def plan_units(
    videos: Sequence[tuple[str, int | None]], unit_frames: int = UNIT_FRAMES, *, first: int = 0
) -> tuple[Unit, ...]:
    """Pack videos into units in their order, and cut a long one into ranges of `unit_frames`.

    Depends on nothing but the arguments. More videos at the end change no unit but the last. The
    last range of every video is open, because headers miscount frames.

    Args:
        videos: (id, frames as the header has them, or None or 0 where it is silent).
        unit_frames: about how many frames a unit has, at least 1.
        first: number of the first unit.
    """
    units: list[tuple[tuple[UnitPart, ...], int]] = []
    packed: list[UnitPart] = []
    room = unit_frames
    for video_id, estimate in videos:
        frames = estimate or UNKNOWN_FRAMES
        is_long = bool(estimate) and frames > unit_frames
        if packed and frames > room:
            units.append((tuple(packed), unit_frames - room))
            packed, room = [], unit_frames
        start = 0
        while is_long and frames - start > unit_frames:
            stop = start + unit_frames
            units.append(((UnitPart(video_id=video_id, start=start, stop=stop),), unit_frames))
            start = stop
        packed.append(UnitPart(video_id=video_id, start=start, stop=None))
        room -= frames - start
    if packed:
        units.append((tuple(packed), unit_frames - room))
    return tuple(
        Unit(index=index, parts=parts, frames=float(frames))
        for index, (parts, frames) in enumerate(units, first)
    )
