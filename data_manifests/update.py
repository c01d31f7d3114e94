"""`orn manifest update`: new videos and classes of a table that has grown, and corrected labels;
and the manifest of each fold: a copy with another column of splits.

No video moves to another split, and no class gets another index: new videos are added to the table
of splits by the rule by which it was drawn, and new classes at the end of the list of classes.
"""

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orn.data_manifests.corrections import corrected_rows
from orn.data_manifests.draw_split import extended_splits, grouped
from orn.data_manifests.film_corrections import are_intervals, corrected_intervals
from orn.data_manifests.films import read_observed, with_unlabeled
from orn.data_manifests.find_videos import find_videos
from orn.data_manifests.load import (
    data_root_of,
    load_manifest,
    read_listing,
    recorded_data_root,
)
from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.new_manifest import has_usual_manifest, usual_manifest
from orn.data_manifests.records import Listing, Split
from orn.data_manifests.table import (
    LabeledRow,
    class_names,
    read_labels,
    read_splits,
)
from orn.data_manifests.text_files import (
    MOST_BYTES,
    checked_id,
    class_key,
    each_row,
    open_table,
    read_class_names,
)
from orn.data_manifests.write_tables import encoded_like, line_end, read_back, replace_tables
from orn.shared.config.toml_files import to_toml
from orn.shared.data_files import read_bounded
from orn.shared.errors import ConfigError, ManifestError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted, first_few


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestUpdate:
    """Changes of the files of a data set that its table asks for."""

    manifest: str
    table: Path
    """The table of labels."""
    new_videos: tuple[str, ...] = ()
    """Videos that had no split."""
    new_classes: tuple[str, ...] = ()
    """Classes that are added at the end of the list."""
    removed_videos: tuple[str, ...] = ()
    """Videos with a split, but without a row in the table."""
    unused_classes: tuple[str, ...] = ()
    """Classes without a row, which keep their indices."""
    corrected: tuple[str, ...] = ()
    """Segments whose label was corrected."""
    left_out: tuple[str, ...] = ()
    """Segments whose row was removed."""
    splits: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)
    """Splits of the new videos, in each column of the table of splits."""
    files: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    """Contents of the files to write, in this order."""

    def write(self) -> tuple[Path, ...]:
        """Write all files or none, and return the copies of the earlier ones; the same update
        finishes after an interruption.

        Raises:
            PipelineError: if a file cannot be written.
        """
        return replace_tables(self.files)

    def listing(self, manifest: Manifest, folder: Path) -> Listing:
        """Return the content of the tables of a manifest after the update, whether or not it is
        written.

        Args:
            manifest: the manifest, whose split may be that of another fold.
            folder: the folder of its data set.

        Raises:
            PipelineError: if the data set could not be read after the update.
        """
        labels = manifest.labels
        assert isinstance(labels, TableLabels)
        own = (labels.table, labels.classes, labels.split_table, manifest.intervals.observed)
        names = [str(name) for name in own if name is not None]

        def read(copy: Path) -> Listing:
            return read_listing(manifest, copy)

        return read_back(self.files, read, folder=folder, beside=names)

    def lines(self) -> list[str]:
        """Return what has changed, in plain words."""
        named = (
            (self.new_videos, "new video", "new videos"),
            (self.new_classes, "new class", "new classes"),
            (self.corrected, "corrected label", "corrected labels"),
            (self.left_out, "row left out", "rows left out"),
            (self.removed_videos, "video without a row any more", "videos without a row any more"),
            (self.unused_classes, "class without a row", "classes without a row"),
        )
        lines = [
            f"{counted(len(names), *words)}: {first_few(names)}" for names, *words in named if names
        ]
        return lines or ["nothing has changed"]

    def as_json(self) -> dict[str, Any]:
        """Return the changes as a JSON object."""
        return {
            "manifest": self.manifest,
            "new_videos": {name: list(self.splits.get(name, ())) for name in self.new_videos},
            "new_classes": list(self.new_classes),
            "removed_videos": list(self.removed_videos),
            "unused_classes": list(self.unused_classes),
            "corrected": list(self.corrected),
            "left_out": list(self.left_out),
            "files": [str(path) for path in self.files],
        }


def manifest_of_table(table: str, data_root: Path | None) -> str:
    """Return the manifest of a table of labels, which may also be the manifest itself.

    Raises:
        ConfigError: if the table has no manifest in the current folder.
    """
    if Path(table).suffix.lower() != ".csv":
        return table
    path = usual_manifest(Path(table), data_root)
    if not has_usual_manifest(Path(table), data_root):
        raise ConfigError(
            f"{table}: expected its manifest at {path}, got none; create it with `orn manifest new "
            f"{shlex.quote(table)}`, or pass the manifest instead of the table"
        )
    return str(path)


def plan_update(
    name: str, data_root: Path | None = None, *, corrections: Path | None = None
) -> ManifestUpdate:
    """Return the changes that a grown or corrected table asks for; nothing is written.

    Args:
        name: name or file of the manifest.
        data_root: folder of all data sets; None for the manifest's own.
        corrections: CSV file with the columns id, verdict (`wrong`, `right` or `leave out`) and
            label, as the page of a run writes it; or video, start, stop and label, as a timeline
            page writes all intervals of a video.

    Raises:
        ConfigError: if the manifest does not read a table of the user.
        ManifestError: if a table is invalid, corrects a segment that does not exist, or could not
            be read after the update.
        DataRootError: if a file is missing.
    """
    manifest = load_manifest(name)
    labels = manifest.labels
    if not isinstance(labels, TableLabels):
        raise ConfigError(
            f"{name}: expected a data set with a table of labels, got format {labels.format}; only "
            "such a table can grow"
        )
    folder = (data_root or data_root_of(manifest, None)) / manifest.root
    table = folder / labels.table
    rows = read_labels(table)
    corrected: dict[str, Any] = {}
    files: dict[Path, bytes] = {}
    observed = _observed(manifest, folder)
    if corrections is not None and manifest.kind == "intervals" and are_intervals(corrections):
        rows, videos, text = corrected_intervals(
            *(table, rows, corrections),
            observed=observed,
            background=manifest.intervals.background if manifest.task == "single-label" else None,
            is_video=lambda video: _has_video(manifest, folder, video),
        )
        corrected, content = {"corrected": videos}, encoded_like(table, text)
        if content != read_bounded(table, most_bytes=MOST_BYTES):
            files = {table: content}
    elif corrections is not None:
        rows, corrected, files = corrected_rows(table, rows, corrections)
    labeled = rows
    rows = with_unlabeled(rows, sorted(observed))
    old = read_class_names(folder / labels.classes)
    cells = each_row(table, labeled.items(), lambda row: class_names(row.label, manifest.task))
    used = {name for cell in cells for name in cell}
    new_classes = tuple(sorted(used - old.keys(), key=class_key(used)))
    _check_case(new_classes, old, table=corrections or table, path=folder / labels.classes)
    splits: dict[str, tuple[Split, ...]] = {}
    listed = {row.video for row in rows.values()}
    known: dict[str, tuple[Split, ...]] | None = None
    if labels.split_table is not None:
        path = folder / labels.split_table
        known = read_splits(path, labels)
        splits = _new_splits(table, labels, rows, known=known)
        if splits:
            files[path] = _with_rows(path, splits)
    if new_classes:
        path = folder / labels.classes
        files[path] = _with_lines(path, "".join(f"{own}\n" for own in new_classes))
    update = ManifestUpdate(
        manifest=name,
        table=table,
        new_videos=tuple(splits),
        new_classes=new_classes,
        removed_videos=tuple(video for video in known or () if video not in listed),
        unused_classes=tuple(own for own in old if own not in used),
        splits=splits,
        files=files,
        **corrected,
    )
    update.listing(manifest, folder)
    return update


def _has_video(manifest: Manifest, folder: Path, video: str) -> bool:
    """Return whether the data set has the file of a video; False if the text is no id."""
    try:
        ids = [checked_id(video)]
    except ValueError:
        return False
    are_folders = manifest.form == "frames"
    return bool(find_videos(folder, manifest.videos.pattern, ids, are_folders=are_folders))


def _check_case(new: Sequence[str], old: Mapping[str, int], *, table: Path, path: Path) -> None:
    """Raise ManifestError if the name of a new class differs from another one only by case."""
    names = {name.casefold(): name for name in (*old, *new)}
    for name in (*old, *new):
        other = names[name.casefold()]
        if other != name and other in new:
            raise ManifestError(
                f"{table}: expected classes that differ by more than case, got {other!r} beside "
                f"{name!r}; correct the label, or add {other!r} to {path}"
            )


def _observed(manifest: Manifest, folder: Path) -> frozenset[str]:
    """Return the videos of the table of what was looked at, if any."""
    name = manifest.intervals.observed
    if manifest.kind != "intervals" or name is None:
        return frozenset()
    return frozenset(row.video for row in read_observed(folder / name).values())


def write_fold_manifests(manifest: str, paths: Sequence[Path]) -> None:
    """Write a copy of a manifest for each path, whose stem is the column of splits."""
    opened = load_manifest(manifest)
    values = opened.model_dump(mode="json", exclude_unset=True)
    for path in paths:
        if opened.data_root is not None:
            values["data_root"] = recorded_data_root(data_root_of(opened, None), path)
        labels = {**values["labels"], "split": path.stem}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, to_toml({**values, "labels": labels}))


def _new_splits(
    table: Path,
    labels: TableLabels,
    rows: Mapping[int, LabeledRow],
    *,
    known: Mapping[str, tuple[Split, ...]],
) -> dict[str, tuple[Split, ...]]:
    """Return the splits of videos that have none."""
    groups, group_of = grouped(table, rows)
    split_of_group = {
        group_of[video]: splits for video, splits in known.items() if video in group_of
    }
    drawn = extended_splits(groups, split_of_group, folds=labels.folds, seed=labels.seed)
    of_groups = {**split_of_group, **drawn}
    return {video: of_groups[group] for video, group in group_of.items() if video not in known}


def _with_rows(path: Path, splits: Mapping[str, tuple[Split, ...]]) -> bytes:
    """Return the content of a table of splits with more videos at its end."""
    delimiter = open_table(path, "the table of splits").delimiter
    text = io.StringIO()
    rows = ((video, *own) for video, own in splits.items())
    csv.writer(text, lineterminator="\n", delimiter=delimiter).writerows(rows)
    return _with_lines(path, text.getvalue())


def _with_lines(path: Path, lines: str) -> bytes:
    """Return the content of a text file with more lines at its end."""
    content = read_bounded(path, most_bytes=MOST_BYTES)
    end = line_end(content)
    missing = b"" if content.endswith(b"\n") else end.encode()
    return content + missing + lines.replace("\n", end).encode()
