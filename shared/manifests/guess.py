"""What a table of one's own and the files beside it say about the data set that they are."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ManifestError
from shared.manifests.finder import expand
from shared.manifests.records import Form, Metric, Task
from shared.manifests.table import LABEL_SEPARATOR
from shared.manifests.tables import Problems, read_rows

__all__ = ["TableGuess", "VideosGuess", "guess_table", "guess_videos", "is_video_name"]

_VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
_SAMPLE = 50
"""Ids that are looked for."""
_MOST_ENTRIES = 200_000
"""Files and folders that are looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGuess:
    """What the cells of a table say."""

    task: Task
    metric: Metric
    has_times: bool
    """Whether every row has start and stop."""
    has_split: bool
    classes: tuple[str, ...]
    """Names in the order of their numbers if all are numbers, else of the alphabet."""
    video_ids: tuple[str, ...]
    """Each once, in the order of the table."""
    rows: int
    reasons: tuple[str, ...]
    """Why it is taken so, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideosGuess:
    """Where the videos lie."""

    pattern: str
    form: Form
    found: int
    """Of `looked_for` ids, those that the pattern finds."""
    looked_for: int


def guess_table(path: Path) -> TableGuess:
    """Reads a table with the columns `video`, `label` and, where wanted, `start`, `stop`, `split`,
    `id`.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: naming the column or the lines that cannot be used.
    """
    rows = list(
        read_rows(
            path,
            "the label table",
            columns=("video", "label"),
            optional=("start", "stop", "split", "id"),
        )
    )
    if not rows:
        raise ManifestError(f"{path}: wanted a row for each clip or segment, found the header only")
    labels = [row["label"].strip() for _, row in rows]
    num_joined = sum(LABEL_SEPARATOR in label for label in labels)
    num_empty = labels.count("")
    is_multi = bool(num_joined or num_empty)
    has_times = all(row.get("start", "").strip() and row.get("stop", "").strip() for _, row in rows)
    has_split = "split" in rows[0][1]
    why = f"{num_joined} labels hold a {LABEL_SEPARATOR!r} and {num_empty} are empty"
    return TableGuess(
        task="multi-label" if is_multi else "single-label",
        metric="map" if is_multi else "top1",
        has_times=has_times,
        has_split=has_split,
        classes=_classes(path, rows, is_multi=is_multi),
        video_ids=tuple(dict.fromkeys(row["video"].strip() for _, row in rows)),
        rows=len(rows),
        reasons=(
            f"task multi-label: {why}" if is_multi else "task single-label: each row has one label",
            "each row has start and stop: segments of videos"
            if has_times
            else "not every row has start and stop: a row is a whole clip, or from or to its end",
            "split by the column 'split'"
            if has_split
            else "no column 'split': every row is in the train part, there is nothing to evaluate",
        ),
    )


def guess_videos(folder: Path, video_ids: Sequence[str], *, has_times: bool) -> VideosGuess | None:
    """The pattern that finds the most of the first ids among the files below a folder, or None."""
    wanted = video_ids[:_SAMPLE]
    entries = dict(_entries(folder))
    votes = Counter(
        pattern
        for video_id in wanted
        for relative in entries
        for pattern in _patterns(relative, video_id)
    )
    if not votes:
        return None
    # The shortest of those that find the most: videos/{id}.mp4 before old/videos/{id}.mp4.
    pattern = min(votes, key=lambda each: (-votes[each], len(each), each))
    found = [video_id for video_id in wanted if expand(pattern, video_id) in entries]
    are_folders = entries[expand(pattern, found[0])]
    return VideosGuess(
        pattern=pattern,
        form="frames" if are_folders else "segments" if has_times else "clips",
        found=len(found),
        looked_for=len(wanted),
    )


def is_video_name(name: str) -> bool:
    """Whether a file of this name is taken for a video."""
    return Path(name).suffix.lower() in _VIDEO_SUFFIXES


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Videos below a folder, relative to it, and whether each is a folder of frames."""
    left = _MOST_ENTRIES
    for parent, folders, names in os.walk(folder):
        folders.sort()
        left -= len(folders) + len(names)
        relative = Path(parent).relative_to(folder)
        if parent != str(folder) and any(
            name.lower().endswith((".jpg", ".jpeg")) for name in names
        ):
            yield relative.as_posix(), True
        for name in sorted(names):
            if is_video_name(name):
                yield (relative / name).as_posix(), False
        if left < 0:
            return


def _patterns(relative: str, video_id: str) -> Iterator[str]:
    """How a path could be made of an id: the id stands at whole names of it, but for a suffix."""
    start = relative.find(video_id)
    if start < 0 or "{" in relative.replace(video_id, "", 1):
        return
    before, after = relative[:start], relative[start + len(video_id) :]
    if (not before or before.endswith("/")) and (not after or after[0] in "./"):
        yield f"{before}{{id}}{after}"


def _classes(
    path: Path, rows: Sequence[tuple[int, dict[str, str]]], *, is_multi: bool
) -> tuple[str, ...]:
    problems = Problems(path=path)
    names: set[str] = set()
    for line, row in rows:
        cell = row["label"].strip()
        for name in cell.split(LABEL_SEPARATOR) if is_multi and cell else [cell]:
            if name.strip() and not name.strip().isprintable():
                problems.add(line, f"wanted a class name on one line, found {name.strip()!r}")
            names.add(name.strip())
    problems.raise_if_any()
    names.discard("")
    if not names:
        raise ManifestError(f"{path}: wanted class names in the column 'label', found none")
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))
