"""Events in videos, for exchange with other programs: tables of intervals, and labels of frames."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from orn.data_manifests.text_files import open_table, read_lines
from orn.shared.config.fields import problems_of
from orn.shared.data_files import read_json
from orn.shared.errors import ManifestError
from orn.shared.text import path_text
from orn.shared.video.frame import FrameEstimate

_MOST_BYTES = 1 << 28
_BACKGROUND = ("background", "other", "none", "no_behavior", "")
"""Names of what is not an event, in lists of labels of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An interval of a video with a label, or a point in time, whose start equals its stop."""

    video: str
    """Id of the video."""
    start: float
    """Seconds."""
    stop: float
    """Seconds."""
    label: str


class _Feral(BaseModel):
    class_names: dict[str, str]
    is_multilabel: bool = False
    labels: dict[str, list[Annotated[int, Field(ge=0)] | list[Annotated[int, Field(ge=0, le=1)]]]]


def table_text(events: Iterable[Event]) -> str:
    """Return events as a table of intervals: video, start, stop, label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video", "start", "stop", "label"))
    for event in sorted(events, key=lambda own: (own.video, own.start, own.stop)):
        writer.writerow((event.video, f"{event.start:.3f}", f"{event.stop:.3f}", event.label))
    return text.getvalue()


def read_feral(path: Path, rate: float) -> Iterator[Event]:
    """Yield the events of a JSON file of FERAL, whose class 0 is no event.

    Args:
        path: the file.
        rate: frames per second of its labels.

    Raises:
        ManifestError: if it is no such file, or a label has no name.
    """
    raw = read_json(path, most_bytes=_MOST_BYTES, error=ManifestError)
    try:
        feral = _Feral.model_validate(raw)
        names = [feral.class_names[str(number)] for number in range(len(feral.class_names))]
    except (ValidationError, KeyError) as err:
        problem = (
            problems_of(err, _Feral) if isinstance(err, ValidationError) else f"no class {err}"
        )
        raise ManifestError(f"{path_text(path)}: expected labels of FERAL: {problem}") from err
    for video, labels in feral.labels.items():
        sets = [
            {number for number, flag in enumerate(own) if flag} if isinstance(own, list) else {own}
            for own in labels
        ]
        if (most := max((max(own, default=0) for own in sets), default=0)) >= len(names):
            raise ManifestError(
                f"{path_text(path)}: {video}: expected classes 0 to {len(names) - 1}, got {most}"
            )
        yield from _runs(video, [{names[label] for label in own - {0}} for own in sets], rate)


def read_deepethogram(path: Path, rate: float) -> Iterator[Event]:
    """Yield the events of a table `VIDEO_labels.csv` of DeepEthogram, which has a row for each
    frame and a column of zeros and ones for each behavior; for arguments see `read_feral`."""
    reader = open_table(path, "a table of labels of DeepEthogram")
    header = [name.strip() for name in next(reader, [])]
    rows = []
    for cells in reader:
        row = dict(zip(header, cells, strict=False))
        values = {name: value.strip() for name, value in row.items() if name not in _BACKGROUND}
        if invalid := {*values.values()} - {"0", "1", "-1"}:
            raise ManifestError(
                f"{path_text(path)}, row {reader.line_num}: expected 0 or 1 (-1 for not labeled), "
                f"got {min(invalid)!r}"
            )
        rows.append({name for name, value in values.items() if value == "1"})
    yield from _runs(path.stem.removesuffix("_labels"), rows, rate)


def read_frame_labels(path: Path, rate: float) -> Iterator[Event]:
    """Yield the events of a text file with the label of each frame, one per line, as published for
    GTEA, 50 Salads and Breakfast; the video has the name of the file. Lines such as `background`
    are no event. For arguments see `read_feral`."""
    lines = [line for _, line in read_lines(path, "labels of frames, one per line")]
    names: Sequence[set[str]] = [set() if line in _BACKGROUND else {line} for line in lines]
    yield from _runs(path.stem, names, rate)


def _runs(video: str, labels_F: Sequence[set[str]], rate: float) -> Iterator[Event]:
    """Yield an event for each run of frames with a label."""
    for label in sorted(set().union(*labels_F)):
        first = 0
        for is_shown, run in groupby(own is not None and label in own for own in labels_F):
            stop = first + len([*run])
            if is_shown:
                yield Event(video=video, start=first / rate, stop=stop / rate, label=label)
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
