"""Projects of BORIS, the Behavioral Observation Research Interactive Software (project format 7.0,
as read and written by version 8).

A state event is stored as two rows, its start and its stop, in seconds of player 1 plus the time
offset of the observation. The media files of a player are played one after the other.
"""

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from orn.data_manifests.event_formats import Event, ReadEvents
from orn.data_manifests.text_files import MOST_BYTES, bounded_json
from orn.shared.config.fields import problems_of
from orn.shared.data_files import open_file
from orn.shared.errors import ManifestError
from orn.shared.text import first_few, path_text
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import FrameEstimate

_VERSION = "7.0"
_LONGEST_SECONDS = 1e9


class _Behavior(BaseModel):
    code: str
    type: str


def _or_empty(value: Any) -> Any:
    """Return an object; observations without media have an empty list or null in its place."""
    return value or {}


class _MediaInfo(BaseModel):
    length: Annotated[dict[str, Any], BeforeValidator(_or_empty)] = Field(default_factory=dict)


class _Observation(BaseModel):
    type: str = ""
    file: Annotated[dict[str, list[str]], BeforeValidator(_or_empty)] = Field(default_factory=dict)
    offset: Annotated[
        float,
        Field(alias="time offset", allow_inf_nan=False),
        BeforeValidator(lambda own: own or 0),
    ] = 0.0
    events: list[tuple[Any, ...] | list[Any]] = Field(default_factory=list)
    media_info: Annotated[_MediaInfo, BeforeValidator(_or_empty)] = Field(
        default_factory=_MediaInfo
    )


class _Project(BaseModel):
    behaviors_conf: dict[str, _Behavior]
    observations: dict[str, _Observation]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedEvent:
    """A row that someone coded: a point, or a start or stop of a state."""

    seconds: float
    """Seconds of player 1."""
    key: tuple[str, ...]
    """Behavior, and what else a start and its stop have in common, such as the subject."""
    is_state: bool


def read_project(path: Path) -> ReadEvents:
    """Return the events of a project, `.boris` or `.boris.gz`, observation by observation; a point
    event starts and stops at the same time, and subjects and modifiers are not read.

    Raises:
        ManifestError: if the file is no such project, or a behavior is missing in its ethogram.
    """
    project = _read(path)
    is_state = {own.code: own.type.startswith("State") for own in project.behaviors_conf.values()}
    events: list[Event] = []
    left_out: list[str] = []
    observed: dict[str, Sequence[TimeRange]] = {}
    for name, observation in project.observations.items():
        where = f"{path_text(path)}: observation {name!r}"
        try:
            lengths = _media(observation)
            coded = [*_coded(observation, is_state, where=where)]
            own = [*split_by_medium(paired(coded), lengths)]
        except _UnusableError as err:
            left_out.append(f"{where}: {err}")
            continue
        events += own
        observed |= {medium: [TimeRange()] for medium in lengths} if not own else {}
        for player, files in observation.file.items():
            if player != "1" and files:
                left_out.append(f"{where}: player {player} ({first_few(files)}), which is not read")
    return ReadEvents(events=events, left_out=left_out, observed=observed)


class _UnusableError(ValueError):
    """An observation that cannot be imported."""


def _media(observation: _Observation) -> dict[str, float | None]:
    """Return the media files of player 1 with their lengths in seconds; None if unknown."""
    if observation.type.upper() == "IMAGES":
        raise _UnusableError("an observation of pictures, which has no film")
    media = observation.file.get("1", [])
    if not media:
        kind = "a live observation" if observation.type.upper() == "LIVE" else "no file in player 1"
        raise _UnusableError(f"{kind}, which has no film")
    if len({*media}) < len(media):
        raise _UnusableError(f"player 1 plays {first_few(media)}, one of them twice")
    lengths: dict[str, float | None] = {}
    for medium in media:
        length = observation.media_info.length.get(medium)
        is_known = isinstance(length, float | int) and 0 < length < _LONGEST_SECONDS
        lengths[medium] = length if is_known else None
    return lengths


def _coded(
    observation: _Observation, is_state: Mapping[str, bool], *, where: str
) -> Iterator[CodedEvent]:
    for number, row in enumerate(observation.events, start=1):
        try:
            seconds, subject, code, modifier = float(row[0]), str(row[1]), str(row[2]), str(row[3])
        except (IndexError, TypeError, ValueError, OverflowError):
            seconds = math.nan
        if not math.isfinite(seconds):
            shown = first_few([f"{cell!s:.40}" for cell in row])
            raise _UnusableError(
                f"event {number}: expected time, subject, code and modifiers, got {shown}"
            )
        if code not in is_state:
            raise ManifestError(
                f"{where}, event {number}: expected a behavior of the ethogram, got {code!r}; add "
                "it in BORIS (File > Edit project > Ethogram)"
            )
        key = (code, subject, modifier)
        yield CodedEvent(seconds=seconds - observation.offset, key=key, is_state=is_state[code])


def paired(coded: Iterable[CodedEvent]) -> list[Event]:
    """Return events, without a video, from rows in which a start and the next row with the same key
    are a state.

    Raises:
        ValueError: if a state has no stop, or begins before its video.
    """
    begun: dict[tuple[str, ...], float] = {}
    events: list[Event] = []
    for own in sorted(coded, key=lambda own: own.seconds):
        if own.seconds < 0:
            raise _UnusableError(
                f"expected times from 0 s, got {own.seconds:g} s of {own.key[0]!r}; correct the "
                "time offset in BORIS"
            )
        if own.is_state and own.key not in begun:
            begun[own.key] = own.seconds
        else:
            start = begun.pop(own.key, own.seconds)
            events.append(Event(video="", start=start, stop=own.seconds, label=own.key[0]))
    for (code, *_), seconds in begun.items():
        raise _UnusableError(
            f"expected a stop of the state {code!r} that started at {seconds:g} s, got none; "
            "correct the observation in BORIS"
        )
    return events


def split_by_medium(
    events: Iterable[Event], lengths: Mapping[str, float | None]
) -> Iterator[Event]:
    """Yield events with the media files, played one after the other, in which they are, and times
    from the start of each; a state that goes on in the next file is split.

    Raises:
        ValueError: if the length of a file before another one is unknown.
    """
    media = [*lengths]
    starts = [0.0]
    for medium in media[:-1]:
        length = lengths[medium]
        if length is None:
            raise _UnusableError(
                f"expected the length of {medium!r}, since player 1 plays {len(media)} files, got "
                "none; open the observation in BORIS, and save the project"
            )
        starts.append(starts[-1] + length)
    ends = [*starts[1:], math.inf]
    for event in events:
        for medium, first, end in zip(media, starts, ends, strict=True):
            start, stop = max(event.start, first), min(event.stop, end)
            is_point = event.start == event.stop and first <= event.start < end
            if is_point or start < stop:
                yield Event(video=medium, start=start - first, stop=stop - first, label=event.label)


def _read(path: Path) -> _Project:
    where = path_text(path)
    try:
        with open_file(path, error=ManifestError) as raw:
            file = gzip.open(raw) if path.suffix == ".gz" else raw  # noqa: SIM115
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ManifestError(f"{where}: expected at most 64 MiB of JSON, got more; split it")
        return _Project.model_validate(bounded_json(content.decode(), where=where))
    except UnicodeDecodeError as err:
        raise ManifestError(f"{where}: expected JSON in UTF-8, got another file") from err
    except (OSError, EOFError, zlib.error) as err:
        raise ManifestError(f"{where}: cannot be read: {err}; restore the file") from err
    except ValidationError as err:
        problem = problems_of(err, _Project)
        raise ManifestError(f"{where}: expected a BORIS project: {problem}") from err


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
