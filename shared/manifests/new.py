"""`orn manifest new`: a manifest and a list of classes from a table of one's own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ConfigError, ManifestError
from shared.jobs.atomic_file import write_text
from shared.manifests import table
from shared.manifests.finder import expand, find_videos
from shared.manifests.guess import TableGuess, VideosGuess, guess_table, guess_videos, is_video_name
from shared.manifests.parse import parse_text
from shared.manifests.records import Form
from shared.manifests.schema import ColumnSplit, Manifest, TableLabels

__all__ = ["NewManifest", "NewRequest", "make_manifest"]

_CLASSES_NAME = "classes.txt"
_CLIP_FRAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What to make a manifest of; None is guessed."""

    table: Path
    """The CSV file."""
    data_root: Path
    """Where data sets lie; if the table is elsewhere, the folder above the table's own."""
    pattern: str | None = None
    """Where the video of an id lies, relative to the table's folder."""
    name: str | None = None
    """Name of the data set."""
    rate: float | None = None
    """Frames a second of frame folders."""
    out: Path | None = None
    """The manifest; None: `NAME.toml` in the current folder."""
    fresh: bool = False
    """Whether files that are there are replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """What was written, and why so."""

    path: Path
    """The manifest."""
    classes_path: Path
    """The list of classes."""
    data_root: Path
    """Where data sets lie, for the commands that take the manifest."""
    manifest: Manifest
    """What it says."""
    classes: int
    """Number of classes."""
    videos: int
    """Videos that the table lists."""
    present: int
    """Those that are there."""
    reasons: tuple[str, ...]
    """What was guessed and why, in sentences."""

    def as_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "manifest": str(self.path),
            "classes_file": str(self.classes_path),
            "data_root": str(self.data_root),
            "name": self.manifest.name,
            "form": self.manifest.form,
            "task": self.manifest.task,
            "metric": self.manifest.metric,
            "pattern": self.manifest.videos.pattern,
            "classes": self.classes,
            "videos": {"listed": self.videos, "present": self.present},
            "guessed": list(self.reasons),
        }


def make_manifest(request: NewRequest) -> NewManifest:
    """Writes a commented manifest and, beside the table, the list of its classes.

    Raises:
        DataRootError: if the table is not there.
        ManifestError: if the table cannot be used, or no video is found and no pattern given.
        ConfigError: if a file would be replaced, or the rate of frame folders is missing, or given
            for files.
        PipelineError: if the disk refuses.
    """
    found = guess_table(request.table)
    folder = request.table.absolute().parent
    data_root, root = _data_root(folder, request.data_root)
    videos = _videos(request, folder, found)
    _check_rate(request.rate, folder, videos)
    name = _clean_name(request.name or (folder.name if root != "." else request.table.stem))
    path = request.out or Path(f"{name}.toml")
    classes_path = folder / _CLASSES_NAME
    for existing in (path, classes_path):
        if existing.exists() and not request.fresh:
            raise ConfigError(
                f"{existing} is there already; --fresh replaces it, --out and --name "
                "choose another manifest"
            )
    text = _text(
        request.table.name, name=name, root=root, found=found, videos=videos, rate=request.rate
    )
    manifest = parse_text(text, path)
    _check_rows(manifest, folder)
    present = find_videos(
        folder, videos.pattern, found.video_ids, are_folders=videos.form == "frames"
    )
    write_text(classes_path, "".join(f"{each}\n" for each in found.classes))
    write_text(path, text)
    return NewManifest(
        path=path,
        classes_path=classes_path,
        data_root=data_root,
        manifest=manifest,
        classes=len(found.classes),
        videos=len(found.video_ids),
        present=len(present),
        reasons=(
            *found.reasons,
            f"videos {videos.pattern}: it finds {len(present)} of {len(found.video_ids)}",
        ),
    )


def _data_root(folder: Path, data_root: Path) -> tuple[Path, str]:
    """The data root, and the table's folder relative to it."""
    absolute = data_root.absolute()
    if folder.is_relative_to(absolute):
        return data_root, folder.relative_to(absolute).as_posix()
    return folder.parent, folder.name or "."


def _videos(request: NewRequest, folder: Path, found: TableGuess) -> VideosGuess:
    if request.pattern is None:
        guess = guess_videos(folder, found.video_ids, has_times=found.has_times)
        if guess is None:
            raise ManifestError(
                f"{request.table}: no video of {found.video_ids[0]!r} or the next ids is below "
                f"{folder}; say where they lie with --videos, such as --videos 'videos/{{id}}.mp4'"
            )
        return guess
    paths = [folder / expand(request.pattern, video_id) for video_id in found.video_ids[:50]]
    has_folders = any(path.is_dir() for path in paths)
    has_files = is_video_name(request.pattern) or any(path.is_file() for path in paths)
    are_folders = has_folders or (request.rate is not None and not has_files)
    form: Form = "frames" if are_folders else "segments" if found.has_times else "clips"
    return VideosGuess(pattern=request.pattern, form=form, found=0, looked_for=0)


def _check_rate(rate: float | None, folder: Path, videos: VideosGuess) -> None:
    if videos.form == "frames" and rate is None:
        raise ConfigError(
            f"{folder / videos.pattern}: videos are folders of frames, which do not tell their "
            "rate; say so with --rate"
        )
    if videos.form != "frames" and rate is not None:
        raise ConfigError(
            f"{folder / videos.pattern}: --rate is for folders of frames; videos are files here, "
            "which tell their own: leave it out, or say with --videos where the folders lie"
        )


def _check_rows(manifest: Manifest, folder: Path) -> None:
    """Reads the table as every command will, but for its classes."""
    assert isinstance(manifest.labels, TableLabels)
    assert isinstance(manifest.split, ColumnSplit)
    table.read(
        manifest.labels,
        manifest.split,
        folder,
        task=manifest.task,
        form=manifest.form,
        labels=False,
    )


def _clean_name(text: str) -> str:
    kept = "".join(each if each.isascii() and each.isalnum() else "-" for each in text.strip())
    return kept.strip("-") or "mine"


def _text(
    table_name: str,
    *,
    name: str,
    root: str,
    found: TableGuess,
    videos: VideosGuess,
    rate: float | None,
) -> str:
    """The manifest file."""
    rate_line = f"rate = {rate:g}" if rate else "# rate = 30"
    split = "train, validation and test" if found.has_split else "no such column: all is train"
    return f"""# A data set of one's own, made by `orn manifest new`. Change what is wrong;
# `orn manifest check` says whether it still holds. Words: docs/glossary.md.
name = {_quoted(name)}
title = {_quoted(f"{name}, {found.rows} rows of {table_name}")}

# "clips": a video is one clip. "segments": start and stop of each row cut longer videos.
# "frames": a video is a folder of JPEGs.
form = {_quoted(videos.form)}

# "single-label": one class a row. "multi-label": none or several, joined by ";" in the table.
task = {_quoted(found.task)}
metric = {_quoted(found.metric)} # "top1" for single-label, "map": mean average precision

# Frames that a clip is sampled to. The paper: 8 for Something-Something, 4 for VLOG and EPIC.
clip_frames = {_CLIP_FRAMES}

# Folder of the table and the videos, under the data root (--data, ORN_DATA, else data/).
root = {_quoted(root)}

[videos]
# Where the video of an id of the column "video" lies, relative to root.
pattern = {_quoted(videos.pattern)}
# Frames a second of folders of frames; for form "frames" and no other.
{rate_line}

[labels]
format = "table"
table = {_quoted(table_name)}
classes = {_quoted(_CLASSES_NAME)} # {len(found.classes)} names, one a line, numbered from 0

[split]
rule = "column"
column = "split" # {split}

[clips]
# Size that frames are stored in; training crops 224 x 224 of it.
height = 256
width = 256
"""


def _quoted(text: str) -> str:
    """A string of TOML, which a JSON string is, too."""
    return json.dumps(text, ensure_ascii=False)
