"""What `import_objects` is told, and what other functions that read objects share with it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from orn.shared.errors import ConfigError

RecordsName = Literal["coco", "something-else", "csv", "masks", "supervision", "ultralytics"]
"""Formats whose objects lie in the frames of a video."""
FormatName = Literal["authors", "epic100", RecordsName]
_NOT_TAKEN: dict[FormatName, tuple[str, ...]] = {
    "authors": ("first_frame", "names", "classes", "groups", "lines"),
    "epic100": ("first_frame", "names", "classes", "groups", "lines"),
    "coco": ("lines",),
    "something-else": ("names", "classes", "groups", "lines"),
    "csv": ("names", "groups", "lines"),
    "masks": ("groups", "lines"),
    "supervision": ("names", "groups", "lines"),
    "ultralytics": ("groups",),
}
"""Options that a format does not support."""
_LINES = re.compile(r"(box|polygon)(\+confidence)?(\+track)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOptions:
    """How objects of a source are read."""

    first_frame: int | None = None
    """Number of a video's first frame in the source; default: the format's."""
    names: str | None = None
    """Pattern of names of images or masks; default: `{video}/*{frame}.*`."""
    classes: Path | None = None
    """File with one class per line; default: the classes of the source."""
    groups: bool = False
    """Whether to import COCO annotations with iscrowd = 1."""
    lines: str | None = None
    """What lines of ultralytics contain, such as `polygon+confidence`; default: what they tell."""

    def check(self, objects: Path | None, form: FormatName | None) -> None:
        """Check the options of a command that may be given objects, or none, in a format.

        Raises:
            ConfigError: for the first option that is not supported.
        """
        if (objects is None) != (form is None):
            raise ConfigError("--objects and --format require each other; pass both")
        reason = f"does not apply to the format {form}; omit it"
        names: Iterable[str] = (
            _NOT_TAKEN.get(form, ()) if form else (field.name for field in fields(self))
        )
        for name in names:
            if getattr(self, name) not in (None, False):
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option}: {reason if form else 'requires --objects; add it'}")
        if self.lines is not None and not _LINES.fullmatch(self.lines):
            raise ConfigError(
                "--lines: expected box or polygon, then +confidence, +track, both or neither, got "
                f"{self.lines[:40]!r}; correct it"
            )
        if form == "ultralytics" and self.classes is None:
            raise ConfigError(
                "--format ultralytics: requires the names of the classes in the order of their "
                "numbers; add --classes FILE"
            )


AS_USUAL = ObjectOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportConfig:
    """What `import_objects` does; None selects the default."""

    dataset: str
    """Name or file of the manifest."""
    source: Path
    """File or folder of the objects."""
    form: FormatName
    """Format of the source."""
    rate: float | None = None
    """Frame rate in Hz of the source; default: the format's, else the video's."""
    options: ObjectOptions = AS_USUAL
    """How they are read."""
    data_root: Path | None = None
    """Folder of all data sets."""
    out: Path | None = None
    """Folder of the shards; default: shards/DATASET."""
    workers: int = 1
    """Number of processes."""
    fresh: bool = False
    """Whether to remove the existing job in the folder."""
    retry_failed: bool = False
    """Whether to import videos again that failed."""

    def __post_init__(self) -> None:
        if self.form == "authors" and self.rate is not None:
            raise ConfigError("--rate: does not apply to the format authors; omit it")
        self.options.check(self.source, self.form)
