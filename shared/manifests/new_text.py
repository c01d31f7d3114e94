"""The commented text of a manifest that `orn manifest new` writes."""

from dataclasses import dataclass

from orn.shared.config.files import toml_value
from orn.shared.manifests.draw_split import SplitRequest
from orn.shared.manifests.records import Form

_CLIP_FRAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """What a new manifest says; names of files are relative to `root`."""

    name: str
    root: str
    form: Form
    is_multi_label: bool
    pattern: str
    rate: float | None
    """Frames a second of frame folders."""
    table: str
    num_rows: int
    classes: str
    num_classes: int
    has_split: bool
    """Whether the table has a column of splits."""
    drawn: str | None
    """The table of the split that was drawn."""
    split: SplitRequest | None
    """How it was drawn."""

    def text(self) -> str:
        """Return the TOML file."""
        task, metric = ("multi-label", "map") if self.is_multi_label else ("single-label", "top1")
        rate_line = f"rate = {toml_value(self.rate)}" if self.rate else "# rate = 30"
        is_split = self.has_split or self.drawn
        split = "train, validation and test" if is_split else "no such column: all is train"
        drawn = ""
        if self.drawn and self.split:
            drawn = f"\ntable = {toml_value(self.drawn)} # {self.split.options}"
            drawn += f"\ngroup = {toml_value(self.split.group)}" if self.split.group else ""
        return f"""# A data set of one's own, made by `orn manifest new`. Change what is wrong;
# `orn manifest check` says whether it still holds. Words: docs/glossary.md.
name = {toml_value(self.name)}
title = {toml_value(f"{self.name}, {self.num_rows} rows of {self.table}")}

# "clips": a video is one clip. "segments": start and stop of each row cut longer videos.
# "frames": a video is a folder of JPEGs.
form = {toml_value(self.form)}

# "single-label": one class a row. "multi-label": none or several, joined by ";" in the table.
task = {toml_value(task)}
metric = {toml_value(metric)} # "top1" for single-label, "map": mean average precision

# Frames that a clip is sampled to. The paper: 8 for Something-Something, 4 for VLOG and EPIC.
clip_frames = {_CLIP_FRAMES}

# Folder of the table and the videos, under the data root (--data, ORN_DATA, else data/).
root = {toml_value(self.root)}

[videos]
# Where the video of an id of the column "video" lies, relative to root.
pattern = {toml_value(self.pattern)}
# Frames a second of folders of frames; for form "frames" and no other.
{rate_line}

[labels]
format = "table"
table = {toml_value(self.table)}
classes = {toml_value(self.classes)} # {self.num_classes} names, one a line, numbered from 0

[split]
rule = "column"
column = "split" # {split}{drawn}

[clips]
# Size that frames are stored in; training crops 224 x 224 of it.
height = 256
width = 256
"""
