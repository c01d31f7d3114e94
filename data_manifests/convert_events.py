"""`orn events`: tables of intervals from and for other programs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from orn.data_manifests.boris import (
    aggregated_text,
    project_text,
    read_aggregated,
    read_project,
)
from orn.data_manifests.event_formats import (
    Event,
    feral_text,
    read_deepethogram,
    read_feral,
    read_frame_labels,
    table_text,
)
from orn.data_manifests.table import read_labels
from orn.shared.errors import ConfigError, ManifestError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_files
from orn.shared.text import counted, first_few, path_text
from orn.shared.text_summary import Outcome
from orn.shared.video.frame import FrameEstimate
from orn.shared.video.read import estimate

SourceFormat = Literal["boris", "boris-events", "deepethogram", "feral", "frames"]
TargetFormat = Literal["boris", "boris-events", "feral"]
_OF_TIMES: Mapping[str, Callable[[Path], Iterator[Event]]] = {
    "boris": read_project,
    "boris-events": read_aggregated,
}
_OF_FRAMES: Mapping[str, Callable[[Path, float], Iterator[Event]]] = {
    "deepethogram": read_deepethogram,
    "feral": read_feral,
    "frames": read_frame_labels,
}
_TEXTS: Mapping[str, Callable[[Iterable[Event], Mapping[str, FrameEstimate]], str]] = {
    "boris": project_text,
    "boris-events": aggregated_text,
    "feral": feral_text,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEventsConfig:
    """What `import_events` does."""

    sources: tuple[Path, ...]
    """Files of the other program."""
    form: SourceFormat
    """Their format."""
    out: Path
    """The table to write."""
    rate: float | None = None
    """Frames per second of labels of frames."""

    def __post_init__(self) -> None:
        if self.form in _OF_FRAMES and self.rate is None:
            raise ConfigError(
                f"--format {self.form}: expected --rate, the frames per second of the labels"
            )
        if self.form in _OF_TIMES and self.rate is not None:
            raise ConfigError(f"--format {self.form}: its times are in seconds; omit --rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportEventsConfig:
    """What `export_events` does."""

    table: Path
    """Table of intervals: video, start, stop, label."""
    form: TargetFormat
    """Format to write."""
    out: Path
    """The file to write."""
    videos: Path
    """Folder to which the ids of videos are relative."""


def import_events(config: ImportEventsConfig) -> Outcome:
    """Write the events of other programs as a table of intervals.

    Raises:
        PipelineError: if a source is invalid, or the table cannot be written.
    """
    check_output_files([config.out], reads=config.sources)
    if config.rate is None:
        read = _OF_TIMES[config.form]
        events = [*chain.from_iterable(map(read, config.sources))]
    else:
        of_frames, rate = _OF_FRAMES[config.form], config.rate
        events = [event for path in config.sources for event in of_frames(path, rate)]
    for event in events:
        if not 0 <= event.start <= event.stop:
            raise ManifestError(
                f"{event.video}: expected 0 <= start <= stop, got {event.start:g} and "
                f"{event.stop:g} s of {event.label!r}; correct the source"
            )
    write_text(config.out, table_text(events))
    return _converted(config.out, events)


def export_events(config: ExportEventsConfig) -> Outcome:
    """Write a table of intervals for another program.

    Raises:
        PipelineError: if the table is invalid, a video cannot be opened, or the file cannot be
            written.
    """
    rows = read_labels(config.table)
    videos = {row.video: config.videos / row.video for row in rows.values()}
    if missing := [video for video, path in videos.items() if not path.exists()]:
        raise ConfigError(
            f"--videos {path_text(config.videos)}: expected {first_few(missing)} in this folder, "
            f"got none; pass the folder where the paths in {path_text(config.table)} start"
        )
    check_output_files([config.out], reads=[config.table, *videos.values()])
    lengths = {video: estimate(path) for video, path in videos.items()}
    events = [
        Event(
            video=row.video,
            start=row.start or 0.0,
            stop=lengths[row.video].seconds if row.stop is None else row.stop,
            label=row.label,
        )
        for row in rows.values()
        if row.label
    ]
    write_text(config.out, _TEXTS[config.form](events, lengths))
    return _converted(config.out, events)


def _converted(path: Path, events: Iterable[Event]) -> Outcome:
    videos = [event.video for event in events]
    record = {"path": str(path), "events": len(videos), "videos": len({*videos})}
    return Outcome(record, _summary)


def _summary(record: Mapping[str, Any]) -> str:
    events, videos = counted(record["events"], "event"), counted(record["videos"], "video")
    return f"{path_text(record['path'])}: {events} in {videos}"
