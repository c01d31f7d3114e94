"""`orn bench shard-size`: bytes of shards against the authors' pickles of the same masks."""

import tempfile
from pathlib import Path

import click

from benchmarks.options import json_option, out_option
from benchmarks.result import BenchResult, publish

__all__ = ["bench", "measure"]

_MANIFEST = """
name = "masks"
title = "Masks of which only the size counts"
form = "clips"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "."
[videos]
pattern = "{id}/clip.mp4"
[labels]
format = "table"
table = "labels.csv"
classes = "classes.txt"
"""


@click.command("shard-size")
@click.option(
    "--masks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder with the authors' masks below it, VIDEO/clip.pkl.",
)
@json_option
@out_option
def bench(masks: Path, as_json: bool, out: Path | None) -> None:
    """Bytes of shards against the authors' pickles of the same masks.

    The ratio is pickles over shards; the share is shards over pickles. The masks in the shards are
    those of the pickles byte for byte, the boxes and scores, too.
    """
    publish(measure(masks), as_json=as_json, out=out)


def measure(masks: Path) -> BenchResult:
    """Imports all files into a folder that is thrown away, as `orn import-masks` does.

    Raises:
        MaskImportError: if there is none, or one cannot be read.
    """
    from shared.errors import MaskImportError
    from stage1_detect.imports.job import run_import
    from stage1_detect.imports.matching import find_files
    from stage1_detect.imports.planning import plan_import

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "masks.toml"
        manifest.write_text(_MANIFEST)
        rows = "".join(f'"{video_id}",mask\n' for video_id, _ in find_files(masks, "authors"))
        (folder / "labels.csv").write_text(f"video,label\n{rows}")
        job = plan_import(str(manifest), folder, masks, form="authors", folder=folder / "shards")
        summary = run_import(job)
        if summary.unreadable:
            raise MaskImportError(summary.unreadable[0].reason)
        shards = sum(path.stat().st_size for path in (folder / "shards").glob("shard-*"))
    pickles = sum(path.stat().st_size for path in job.matching.matched.values())
    return BenchResult(
        name="shard-size",
        ratio=round(pickles / shards, 4),
        ours=shards,
        reference=pickles,
        unit="bytes",
        details={
            "share": round(shards / pickles, 4),
            "files": summary.matched,
            "frames": summary.frames,
            "detections": summary.detections,
            "ours_bytes_per_detection": round(shards / max(summary.detections, 1), 2),
            "reference_bytes_per_detection": round(pickles / max(summary.detections, 1), 2),
        },
    )
