"""Data sets as a user has them: a manifest, a label table, classes, videos."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orn.data_manifests.draw_split import draw_table, split_columns, split_text
from orn.data_manifests.table import read_labels
from tests.worlds.videos import write_gray

MANIFEST = """
name = "{name}"
title = "{title}"
form = "{form}"
task = "{task}"
metric = "{metric}"
clip_frames = 4
root = "{name}"
[videos]
pattern = "{pattern}"
[labels]
format = "table"
table = "labels.csv"
classes = "classes.txt"
"""


def write_table(
    folder: Path,
    name: str,
    rows: Sequence[str],
    *,
    classes: Sequence[str],
    form: str = "clips",
    task: str = "single-label",
    metric: str = "top1",
    pattern: str = "videos/{id}.mp4",
    data: str = "data",
) -> Path:
    """A manifest `name.toml` in a folder, and its tables below the data root; gives its path.

    `rows` are lines of the label table, whose first one names the columns.
    """
    root = folder / data / name
    root.mkdir(parents=True, exist_ok=True)
    (root / "labels.csv").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    (root / "classes.txt").write_text("".join(f"{name_}\n" for name_ in classes), encoding="utf-8")
    keys = {"form": form, "task": task, "metric": metric, "pattern": pattern}
    path = folder / f"{name}.toml"
    path.write_text(MANIFEST.format(name=name, title=name.title(), **keys), encoding="utf-8")
    return path


def small_videos(folder: Path) -> Path:
    """A manifest with three videos of 5, 12 and 0 readable frames in `folder/data`; one of the
    listed ones is missing."""
    videos = folder / "data" / "small" / "videos"
    write_gray(videos / "a.mp4", 5)
    write_gray(videos / "b.mp4", 12)
    (videos / "broken.mp4").write_bytes(b"no video at all")
    rows = ("video,label,split", *("a,push,train", "b,pull,train"), "broken,push,train")
    return write_table(folder, "small", (*rows, "lost,pull,test"), classes=("push", "pull"))


def counted_videos(folder: Path, videos: Mapping[str, int], *, absent: Sequence[str] = ()) -> Path:
    """A manifest `mine.toml` with videos of so many frames under `folder/data`; those of `absent`
    are listed and not there."""
    for video_id, num_frames in videos.items():
        write_gray(folder / "data" / "mine" / "videos" / f"{video_id}.mp4", num_frames)
    rows = ("video,label", *(f"{video_id},push" for video_id in (*videos, *absent)))
    return write_table(folder, "mine", rows, classes=("push",))


def exchange_labels(table: Path, split: str) -> None:
    """Exchange the classes of a split in a table of labels that `make_workspace` writes."""
    other = {"right": "down", "down": "right"}
    rows = [row.split(",") for row in table.read_text().splitlines()]
    changed = [[name, other[label] if s == split else label, s] for name, label, s in rows[1:]]
    table.write_text("\n".join(map(",".join, [rows[0], *changed])) + "\n")


def draw_folds(manifest: Path, table: Path, number: int) -> None:
    """Replace the column of splits, the last one of a table, by folds beside it."""
    rows = [line.rpartition(",")[0] for line in table.read_text().splitlines()]
    table.write_text("\n".join(rows))
    drawn = draw_table(table, read_labels(table), shares=None, folds=number)
    text = split_text(split_columns(number), drawn)
    table.with_name("folds.csv").write_text(text)
    folds = f'split_table = "folds.csv"\nfolds = {number}\nsplit = "fold-1"\n'
    manifest.write_text(manifest.read_text().replace("[labels]\n", f"[labels]\n{folds}"))
