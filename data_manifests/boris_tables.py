"""Projects and aggregated events of BORIS, the Behavioral Observation Research Interactive Software
(project format 7.0, as read and written by version 8).

A state event is stored in a project as two rows, its start and its stop, in seconds of the media
file plus the time offset of the observation.
"""

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from orn.data_manifests.event_formats import Event
from orn.data_manifests.text_files import read_column
from orn.shared.config.fields import problems_of
from orn.shared.data_files import open_file, parse_json
from orn.shared.errors import ManifestError
from orn.shared.text import path_text
from orn.shared.video.frame import FrameEstimate

_MOST_BYTES = 1 << 28
"""Limit on the size of a project, which gzip may have compressed."""
_VERSION = "7.0"
_COLUMNS = [
    *("Observation id", "Media file name", "Media duration (s)", "FPS (frame/s)", "Subject"),
    *("Behavior", "Behavior type", "Start (s)", "Stop (s)", "Duration (s)"),
]


class _Behavior(BaseModel):
    code: str
    type: str


class _Observation(BaseModel):
    file: dict[str, list[str]] = Field(default_factory=dict)
    offset: Annotated[float, Field(alias="time offset", allow_inf_nan=False)] = 0.0
    events: list[tuple[Any, ...] | list[Any]]


class _Project(BaseModel):
    behaviors_conf: dict[str, _Behavior]
    observations: dict[str, _Observation]


def read_project(path: Path) -> Iterator[Event]:
    """Yield the events of a project, `.boris` or `.boris.gz`; a point event starts and stops at the
    same time, and subjects and modifiers are not read.

    Raises:
        ManifestError: if the file is no such project, an observation has several media files, or a
            state has no end.
    """
    project = _read(path)
    states = {own.code for own in project.behaviors_conf.values() if own.type.startswith("State")}
    for name, observation in project.observations.items():
        where = f"{path_text(path)}: observation {name!r}"
        media = observation.file.get("1", [])
        if len(media) != 1:
            raise ManifestError(
                f"{where}: expected one media file in player 1, got {len(media)}; import "
                "observations of single files"
            )
        video = PurePath(media[0].replace("\\", "/")).name
        yield from _events(observation, states, video=video, where=where)


def _events(
    observation: _Observation, states: set[str], *, video: str, where: str
) -> Iterator[Event]:
    begun: dict[tuple[str, ...], float] = {}
    for number, row in enumerate(observation.events, start=1):
        try:
            seconds, subject, code, modifier = float(row[0]), str(row[1]), str(row[2]), str(row[3])
        except (IndexError, TypeError, ValueError) as err:
            raise ManifestError(
                f"{where}, event {number}: expected time, subject, code and modifiers, got {row!r}"
            ) from err
        seconds -= observation.offset
        key = (subject, code, modifier)
        if code not in states:
            yield Event(video=video, start=seconds, stop=seconds, label=code)
        elif key not in begun:
            begun[key] = seconds
        else:
            yield Event(video=video, start=begun.pop(key), stop=seconds, label=code)
    for (_, code, _), seconds in begun.items():
        raise ManifestError(
            f"{where}: expected a stop of the state {code!r} that started at {seconds:g} s, got "
            "none; correct the observation in BORIS"
        )


def _read(path: Path) -> _Project:
    try:
        with open_file(path, error=ManifestError) as raw:
            file = gzip.open(raw) if path.suffix == ".gz" else raw  # noqa: SIM115
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ManifestError(f"{path_text(path)}: expected at most 256 MiB of JSON, got more")
        content = parse_json(content, where=path_text(path), error=ManifestError)
        return _Project.model_validate(content)
    except (OSError, EOFError) as err:
        raise ManifestError(f"{path_text(path)}: cannot be read: {err}") from err
    except ValidationError as err:
        raise ManifestError(
            f"{path_text(path)}: expected a BORIS project: {problems_of(err, _Project)}"
        ) from err


def read_aggregated(path: Path) -> Iterator[Event]:
    """Yield the events of a table of aggregated events, `.csv` or `.tsv`; older versions name the
    column of videos `Media file`.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if a column is missing or times are invalid.
    """
    what = "a table of aggregated events of BORIS"
    for column in ("Media file name", "Media file", "Source"):
        try:
            videos = read_column(path, what, column)
            break
        except ManifestError as err:
            missing = err
    else:
        raise missing
    labels = read_column(path, what, "Behavior")
    starts, stops = (read_column(path, what, f"{end} (s)", float) for end in ("Start", "Stop"))
    for video, label, start, stop in zip(videos, labels, starts, stops, strict=True):
        name = PurePath(video.split(":", 1)[-1].strip().replace("\\", "/")).name
        yield Event(video=name, start=start, stop=stop, label=label)


def project_text(events: Iterable[Event], lengths: Mapping[str, FrameEstimate]) -> str:
    """Return a project with one observation a video, in which people can correct events.

    Args:
        events: events with start and stop.
        lengths: lengths of the videos by id; a video without events gets an empty observation.
    """
    own: dict[str, list[Event]] = {video: [] for video in lengths}
    for event in events:
        own[event.video].append(event)
    codes = sorted({event.label for events in own.values() for event in events})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": "intervals",
        "project_description": "",
        "project_format_version": _VERSION,
        "subjects_conf": {},
        "behaviors_conf": {
            str(number): _behavior(code, number) for number, code in enumerate(codes)
        },
        "observations": {
            video: _observation(video, events, lengths[video], now) for video, events in own.items()
        },
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    return json.dumps(project, indent=1) + "\n"


def _behavior(code: str, number: int) -> dict[str, str]:
    key = "abcdefghijklmnopqrstuvwxyz0123456789"[number] if number < 36 else ""
    empty = dict.fromkeys(("description", "color", "category", "modifiers", "excluded"), "")
    return {"type": "State event", "key": key, "code": code, **empty, "coding map": ""}


def _observation(
    video: str, events: Sequence[Event], length: FrameEstimate, now: str
) -> dict[str, Any]:
    rows = [
        [round(seconds, 3), "", event.label, "", "", round(seconds * length.rate)]
        for event in events
        for seconds in (event.start, event.stop)
    ]
    players = {str(player): [video] if player == 1 else [] for player in range(1, 9)}
    info = {"length": length.seconds, "fps": length.rate, "hasVideo": True, "hasAudio": False}
    return {
        "file": players,
        "type": "MEDIA",
        "date": now,
        "description": "",
        "time offset": 0.0,
        "events": sorted(rows, key=lambda row: row[0]),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "media_info": {name: {video: value} for name, value in info.items()},
    }


def aggregated_text(events: Iterable[Event], lengths: Mapping[str, FrameEstimate]) -> str:
    """Return a table of aggregated events; for arguments see `project_text`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    of_video: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        of_video[event.video].append(event)
    for video, own in of_video.items():
        length = lengths[video]
        for event in own:
            kind = "STATE" if event.stop > event.start else "POINT"
            times = (
                f"{value:.3f}" for value in (event.start, event.stop, event.stop - event.start)
            )
            about = (video, video, f"{length.seconds:.3f}", f"{length.rate:g}", "No focal subject")
            writer.writerow([*about, event.label, kind, *times])
    return text.getvalue()
