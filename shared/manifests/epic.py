"""The published tables of EPIC Kitchens 55 (Damen et al. 2018); the label is the verb class."""

import re
from pathlib import Path

from shared.manifests.records import Listing, Segment
from shared.manifests.schema import EpicLabels, PersonSplit
from shared.manifests.tables import Problems, read_rows

__all__ = ["read"]

_TIME = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")
_PERSON = re.compile(r"P(\d+)")


def read(spec: EpicLabels, split: PersonSplit, folder: Path, *, labels: bool) -> Listing:
    """What the action table says; a segment's id is its `uid`.

    The columns with lists written as Python code are not looked at.

    Args:
        labels: False leaves labels empty and does not need the table of verb classes.

    Raises:
        DataRootError: naming the table that is not there.
        ManifestError: naming the lines that cannot be used and why.
    """
    path = folder / spec.table
    classes = _read_verbs(folder / spec.classes) if labels else ()
    problems = Problems(path=path)
    segments: dict[str, Segment] = {}
    columns = ("uid", "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    rows = read_rows(path, "EPIC's action table", columns=(*columns, "verb_class"))
    for line, row in rows:
        if not problems.check_id(line, row["video_id"]):
            continue
        if row["uid"] in segments:
            problems.add(line, f"uid {row['uid']} is listed before")
        start, stop = (_seconds(row, column, line, problems) for column in columns[-2:])
        if stop <= start:
            problems.add(line, f"wanted stop after start, found {start} s and {stop} s")
        segments[row["uid"]] = Segment(
            id=row["uid"],
            video_id=row["video_id"],
            split=_split(row["participant_id"], split, line, problems),
            labels=_labels(row["verb_class"], len(classes), line, problems) if labels else (),
            start_seconds=start,
            stop_seconds=stop,
        )
    problems.raise_if_any()
    video_ids = tuple(dict.fromkeys(segment.video_id for segment in segments.values()))
    return Listing(classes=classes, video_ids=video_ids, segments=tuple(segments.values()))


def _read_verbs(path: Path) -> tuple[str, ...]:
    problems = Problems(path=path)
    names: list[str] = []
    for line, row in read_rows(path, "EPIC's verb classes", columns=("verb_id", "class_key")):
        if row["verb_id"] != str(len(names)):
            problems.add(line, f"wanted verb_id {len(names)}, found {row['verb_id']!r}")
        names.append(row["class_key"])
    problems.raise_if_any()
    return tuple(names)


def _seconds(row: dict[str, str], column: str, line: int, problems: Problems) -> float:
    match = _TIME.fullmatch(row[column].strip())
    if match is None:
        problems.add(line, f"wanted {column} as hours:minutes:seconds, found {row[column]!r}")
        return 0.0
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _split(participant: str, split: PersonSplit, line: int, problems: Problems) -> str:
    match = _PERSON.fullmatch(participant.strip())
    if match is None:
        problems.add(line, f"wanted a participant_id such as P01, found {participant!r}")
        return "train"
    return "train" if int(match[1]) <= split.last_train_person else "validation"


def _labels(cell: str, num_classes: int, line: int, problems: Problems) -> tuple[int, ...]:
    if not cell.isdecimal() or int(cell) >= num_classes:
        problems.add(line, f"wanted a verb_class from 0 to {num_classes - 1}, found {cell!r}")
        return ()
    return (int(cell),)
