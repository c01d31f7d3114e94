"""What `orn manifest new` infers from a label table and the files next to it: the classes, the form
of the data set and the pattern of its videos, with explanations."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orn.data_manifests.find_videos import VIDEO_SUFFIXES, expand
from orn.data_manifests.records import Form, Task
from orn.data_manifests.table import LABEL_SEPARATOR, LabeledRow, class_names
from orn.data_manifests.text_files import class_key, each_row, unused_columns
from orn.shared.data_files import not_a_file, walk
from orn.shared.errors import ConfigError, ManifestError
from orn.shared.video.frame import PICTURE_SUFFIXES

_SIDES = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])")
_OPPOSITE = {"left": "right", "right": "left"}
_SAMPLE = 50
"""Number of video ids to look up for a given pattern."""
_MOST_ENTRIES = 200_000
"""Maximum number of files and folders to search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGuess:
    """Properties inferred from a table."""

    task: Task
    has_times: bool
    """Whether every row has start and stop."""
    has_split: bool
    classes: tuple[str, ...]
    """Names, in numerical order if all are numbers, else in alphabetical order."""
    video_ids: tuple[str, ...]
    """Distinct ids in the order of the table."""
    rows: int
    unused_columns: tuple[str, ...]


def guess_table(path: Path, by_number: Mapping[int, LabeledRow]) -> TableGuess:
    """Return the properties of the rows of a table.

    Raises:
        ManifestError: if labels are invalid.
    """
    rows = [*by_number.values()]
    is_multi = any(LABEL_SEPARATOR in row.label or not row.label for row in rows)
    task: Task = "multi-label" if is_multi else "single-label"
    cells = each_row(path, by_number.items(), lambda row: class_names(row.label, task))
    names = {name for cell in cells for name in cell}
    if not names:
        raise ManifestError(
            f"{path}: expected class names in the column 'label', got none; add a row for each "
            "clip or segment"
        )
    return TableGuess(
        task=task,
        has_times=all(row.start is not None and row.stop is not None for row in rows),
        has_split=rows[0].split is not None,
        classes=tuple(sorted(names, key=class_key(names))),
        video_ids=tuple(dict.fromkeys(row.video for row in rows)),
        rows=len(rows),
        unused_columns=unused_columns(path, "the label table", LabeledRow),
    )


def guess_videos(folder: Path, video_ids: Iterable[str]) -> tuple[str, bool] | None:
    """Return the pattern, `{id}` after folders and before a suffix, that finds files for the
    largest number of ids, and whether these are frame folders; None without a match."""
    ids, left = frozenset(video_ids), _MOST_ENTRIES
    votes: Counter[tuple[str, bool]] = Counter()
    for parent, folders, names in walk(folder):
        left -= len(folders) + len(names)
        if left < 0:
            break
        relative = Path(parent).relative_to(folder)
        if any(name.lower().endswith(PICTURE_SUFFIXES) for name in names):
            votes.update((pattern, True) for pattern in _patterns(relative, "", ids))
        videos = (name for name in names if name.lower().endswith(VIDEO_SUFFIXES))
        for path in map(relative.joinpath, videos):
            for suffix in ("", path.suffix):
                votes.update((pattern, False) for pattern in _patterns(path, suffix, ids))
    # The shortest of the best patterns: videos/{id}.mp4 before old/videos/{id}.mp4.
    return min(votes, key=lambda vote: (-votes[vote], len(vote[0]), vote), default=None)


def _patterns(path: Path, suffix: str, ids: frozenset[str]) -> Iterator[str]:
    """Yield the patterns whose id is the end of a relative path, without the suffix."""
    parts = path.as_posix().removesuffix(suffix).split("/")
    for start in range(len(parts)):
        if "/".join(parts[start:]) in ids:
            yield "".join(f"{part}/" for part in parts[:start]) + "{id}" + suffix


def video_pattern(
    table: Path, guessed: TableGuess, pattern: str | None = None, *, rate: float | None = None
) -> tuple[str, Form]:
    """Return the pattern of the videos, inferred unless given, and the form of the data set; for
    arguments and errors see `plan_manifest`."""
    folder = absolute_path(table).parent
    if pattern is None:
        guess = guess_videos(folder, guessed.video_ids)
        if guess is None:
            raise ManifestError(
                f"{table}: expected videos such as {guessed.video_ids[0]!r} in {folder}, got none; "
                f"specify their path with `orn manifest new {shlex.quote(str(table))} --videos "
                "'videos/{id}.mp4'`"
            )
        pattern, are_folders = guess
    else:
        paths = [folder / expand(pattern, video_id) for video_id in guessed.video_ids[:_SAMPLE]]
        has_files = any(not_a_file(path) is None for path in paths)
        has_files |= pattern.lower().endswith(VIDEO_SUFFIXES)
        has_folders = any(os.path.isdir(path) for path in paths)
        are_folders = has_folders or (rate is not None and not has_files)
    if are_folders and rate is None:
        raise ConfigError(
            f"{folder / pattern}: folders of frames require a frame rate; add --rate to "
            f"`orn manifest new {shlex.quote(str(table))}`"
        )
    if not are_folders and rate is not None:
        raise ConfigError(
            f"{folder / pattern}: --rate applies only to folders of frames, got video files; omit "
            "it, or specify the folders with --videos"
        )
    return pattern, "frames" if are_folders else "segments" if guessed.has_times else "clips"


def mirrored_pairs(classes: Sequence[str]) -> list[list[str]]:
    """Return the pairs of classes whose names differ only in the words left and right."""
    name_of = {name.lower(): name for name in classes}
    pairs = []
    for name in classes:
        mirrored = _SIDES.sub(lambda side: _OPPOSITE[side[0]], name.lower())
        if name.lower() < mirrored and mirrored in name_of:
            pairs.append([name, name_of[mirrored]])
    return pairs


def absolute_path(path: Path) -> Path:
    """Return the absolute path without `..`, which a manifest rejects, keeping links."""
    return Path(os.path.abspath(path))  # noqa: PTH100
