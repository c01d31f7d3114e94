"""The tiny world as a user has it: manifest, label table, recipe, clip store, shards."""

from pathlib import Path
from typing import Any

MANIFEST = """
name = "tiny"
title = "Tiny"
form = "clips"
task = "{task}"
metric = "{metric}"
clip_frames = 4
root = "tiny"
[videos]
pattern = "{{id}}.mp4"
[labels]
format = "table"
table = "labels.csv"
classes = "classes.txt"
"""
RECIPE = """
log_every_steps = 1
[model]
base_width = 2
mask_features = 4
relation_width = 6
reasoning_state = 5
activity_state = 5
[data]
crop = [32, 48]
max_objects = 2
[optimiser]
batch_size = 4
learning_rate = 1e-3
[phases]
object_head_epochs = 1
epochs = 1
"""


def make_workspace(
    tiny_world: Any, folder: Path, task: str = "single-label", metric: str = "top1"
) -> dict[str, str]:
    """Writes manifest, labels and recipe, and gives the options of `orn train`; the videos are
    there but are never opened."""
    root = folder / "data" / "tiny"
    rows = ["video,label,split"]
    for segment in tiny_world.dataset.segments:
        path = root / f"{segment.video_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        label = tiny_world.dataset.classes[segment.labels[0]]
        rows.append(f"{segment.video_id},{label},{segment.split}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "classes.txt").write_text("right\ndown\n")
    (folder / "tiny.toml").write_text(MANIFEST.format(task=task, metric=metric))
    (folder / "recipe.toml").write_text(RECIPE)
    return {
        "manifest": str(folder / "tiny.toml"),
        "--data": str(folder / "data"),
        "--recipe": str(folder / "recipe.toml"),
        "--run": str(folder / "run"),
        "--shards": str(tiny_world.shards_path),
        "--clips": str(tiny_world.store_path),
        "--workers": "0",
        "--device": "cpu",
    }
