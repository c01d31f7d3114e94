"""Events in videos, for exchange with other programs: what all formats have in common, and labels
of frames. The formats of BORIS are in modules of their own."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from orn.data_manifests.text_files import MOST_BYTES, bounded_json, open_table, read_lines
from orn.shared.config.fields import problems_of
from orn.shared.data_files import read_bounded
from orn.shared.errors import ManifestError
from orn.shared.text import counted, path_text
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import FrameEstimate

_MOST_VALUES = 10_000_000
"""Maximum number of labels in a file of FERAL: 100 hours at 25 frames per second."""
_BACKGROUND = ("background", "other", "none", "no_behavior", "")
"""Names of what is not an event, in lists of labels of frames."""
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An interval of a video with a label, or a point in time, whose start equals its stop."""

    video: str
    """Path of the video, as the other program writes it."""
    start: float
    """Seconds."""
    stop: float
    """Seconds."""
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvents:
    """What a file of another program holds."""

    events: Sequence[Event]
    left_out: Sequence[str] = ()
    """What cannot be used, each with its reason."""
    observed: Mapping[str, Sequence[TimeRange]] | None = None
    """What was looked at in videos that were not watched as a whole, or have no event."""


class _Feral(BaseModel):
    class_names: dict[str, str]
    is_multilabel: bool = False
    labels: dict[str, list[Annotated[int, Field(ge=0)] | list[Annotated[int, Field(ge=0, le=1)]]]]


def video_ids(paths: Iterable[str]) -> dict[str, str]:
    """Return the id of each video: a relative path as it is; of absolute ones the names, or if two
    names are equal, the paths below the folder that they have in common."""
    parts_of = {
        path: [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
        for path in paths
    }
    ids = {path: "/".join(parts) for path, parts in parts_of.items()}
    absolute = [path for path in parts_of if _ABSOLUTE.match(path) and parts_of[path]]
    names = Counter(parts_of[path][-1] if path in absolute else own for path, own in ids.items())
    folders = zip(*(parts_of[path][:-1] for path in absolute), strict=False)
    common = sum(1 for _ in takewhile(lambda names: len({*names}) == 1, folders))
    if all(names[parts_of[path][-1]] == 1 for path in absolute):
        return ids | {path: parts_of[path][-1] for path in absolute}
    return ids | {path: "/".join(parts_of[path][common:]) for path in absolute}


def read_feral(path: Path, rate: float) -> ReadEvents:
    """Return the events of a JSON file of FERAL, whose class 0 is no event if it is called so.

    Args:
        path: the file.
        rate: frames per second of its labels.

    Raises:
        ManifestError: if it is no such file, or a label has no name.
    """
    content = read_bounded(path, most_bytes=MOST_BYTES, error=ManifestError)
    try:
        raw = bounded_json(content.decode(), where=path_text(path), most=_MOST_VALUES)
        feral = _Feral.model_validate(raw)
        names = [feral.class_names[str(number)] for number in range(len(feral.class_names))]
    except (UnicodeDecodeError, ValidationError, KeyError) as err:
        problem = f"no class {err}" if isinstance(err, KeyError) else str(err)
        if isinstance(err, ValidationError):
            problem = problems_of(err, _Feral)
        raise ManifestError(f"{path_text(path)}: expected labels of FERAL: {problem}") from err
    events: list[Event] = []
    for video, labels in feral.labels.items():
        sets = [
            {number for number, flag in enumerate(own) if flag} if isinstance(own, list) else {own}
            for own in labels
        ]
        if (most := max((max(own, default=0) for own in sets), default=0)) >= len(names):
            raise ManifestError(
                f"{path_text(path)}: {video}: expected classes 0 to {len(names) - 1}, got {most}"
            )
        shown = {0} if names[:1] and names[0].strip().casefold() in _BACKGROUND else set()
        events += _runs(video, [{names[label] for label in own - shown} for own in sets], rate)
    return ReadEvents(events=events, observed=_without_events(feral.labels, events))


def read_deepethogram(path: Path, rate: float) -> ReadEvents:
    """Return the events of a table `VIDEO_labels.csv` of DeepEthogram, which has a row for each
    frame and a column of zeros and ones for each behavior; frames with -1 were not labeled. For
    arguments see `read_feral`."""
    reader = open_table(path, "a table of labels of DeepEthogram")
    header = reader.first_row
    names = [name.strip() for name in header]
    rows: list[set[str]] = []
    is_labeled: list[bool] = []
    for cells in reader:
        where = f"{path_text(path)}, row {reader.line_num}"
        if len(cells) != len(header):
            raise ManifestError(
                f"{where}: expected {counted(len(header), 'cell')}, got {len(cells)}; restore it"
            )
        row = zip(names, cells, strict=True)
        values = {name: cell.strip() for name, cell in row if name not in _BACKGROUND}
        if invalid := {*values.values()} - {"0", "1", "-1"}:
            raise ManifestError(
                f"{where}: expected 0 or 1 (-1 for not labeled), got {min(invalid)!r}"
            )
        rows.append({name for name, value in values.items() if value == "1"})
        is_labeled.append("-1" not in values.values())
    video = str(path.absolute().with_name(path.stem.removesuffix("_labels")))
    labeled = [*_ranges(is_labeled, rate)]
    if rows and not labeled:
        return ReadEvents(events=(), left_out=[f"{path_text(path)}: no frame is labeled"])
    events = [*_runs(video, rows, rate)]
    observed = None if all(is_labeled) else {video: labeled}
    return ReadEvents(events=events, observed=observed or _without_events([video], events))


def read_frame_labels(path: Path, rate: float) -> ReadEvents:
    """Return the events of a text file with the label of each frame, one per line, as published for
    GTEA, 50 Salads and Breakfast; the video has the name of the file. Lines such as `background`
    are no event. For arguments see `read_feral`."""
    lines = [line for _, line in read_lines(path, "labels of frames, one per line")]
    names: Sequence[set[str]] = [set() if line in _BACKGROUND else {line} for line in lines]
    video = str(path.absolute().with_suffix(""))
    events = [*_runs(video, names, rate)]
    return ReadEvents(events=events, observed=_without_events([video], events))


def _without_events(
    videos: Iterable[str], events: Iterable[Event]
) -> dict[str, Sequence[TimeRange]]:
    """Return the videos that were watched as a whole and have no event."""
    shown = {event.video for event in events}
    return {video: [TimeRange()] for video in videos if video not in shown}


def _runs(video: str, labels_F: Sequence[set[str]], rate: float) -> Iterator[Event]:
    """Yield an event for each run of frames with a label."""
    for label in sorted(set().union(*labels_F)):
        for span in _ranges((label in own for own in labels_F), rate):
            yield Event(video=video, start=span.start, stop=span.stop, label=label)


def _ranges(flags_F: Iterable[bool], rate: float) -> Iterator[TimeRange]:
    """Yield the time range of each run of frames with a flag."""
    first = 0
    for is_set, run in groupby(flags_F):
        stop = first + len([*run])
        if is_set:
            yield TimeRange(first / rate, stop / rate)
        first = stop


def feral_text(events: Iterable[Event], lengths: Mapping[str, FrameEstimate]) -> str:
    """Return events as JSON of FERAL: one class a frame, or several where events overlap.

    Args:
        events: the events.
        lengths: lengths of the videos by id.
    """
    events = sorted(events, key=lambda own: own.start)
    names = ["other", *sorted({event.label for event in events})]
    frames = {video: [{0} for _ in range(length.frames)] for video, length in lengths.items()}
    for event in events:
        own, rate = frames[event.video], lengths[event.video].rate
        for number in range(round(event.start * rate), min(round(event.stop * rate), len(own))):
            own[number] = (own[number] - {0}) | {names.index(event.label)}
    is_multilabel = any(len(own) > 1 for of_video in frames.values() for own in of_video)
    labels = {
        video: [
            [int(number in own) for number in range(len(names))] if is_multilabel else min(own)
            for own in of_video
        ]
        for video, of_video in frames.items()
    }
    splits = {split: list[str]() for split in ("train", "val", "test")}
    content = {
        "class_names": {str(number): name for number, name in enumerate(names)},
        "is_multilabel": is_multilabel,
        "labels": labels,
        "splits": {**splits, "inference": [*labels]},
    }
    return json.dumps(content) + "\n"
