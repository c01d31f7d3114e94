"""Bytes of shards against the authors' pickles of the same masks."""

import tempfile
from pathlib import Path

from orn.benchmarks.harness import BenchResult
from orn.benchmarks.made_inputs import manifest_text
from orn.shared.errors import MaskImportError
from orn.stage1_detect.imports.job import plan_import, run_import
from orn.stage1_detect.imports.matching import find_files


def measure(masks: Path) -> BenchResult:
    """Imports all files into a folder that is thrown away, as `orn import-masks` does.

    Raises:
        MaskImportError: if there is none, or one cannot be read.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "masks.toml"
        manifest.write_text(manifest_text(".", "{id}/clip.mp4"))
        rows = "".join(f'"{video_id}",mask\n' for video_id, _ in find_files(masks, "authors"))
        (folder / "labels.csv").write_text(f"video,label\n{rows}")
        job = plan_import(str(manifest), folder, masks, form="authors", folder=folder / "shards")
        summary = run_import(job)
        if summary["unreadable"]:
            raise MaskImportError(summary["unreadable"][0]["reason"])
        shards = sum(path.stat().st_size for path in (folder / "shards").glob("shard-*"))
    pickles = sum(path.stat().st_size for path in job.matching.matched.values())
    return BenchResult(
        name="shard-size",
        ours=shards,
        reference=pickles,
        unit="bytes",
        details={
            "share": round(shards / pickles, 4),
            "files": summary["matched"],
            "frames": summary["frames"],
            "detections": summary["detections"],
            "ours_bytes_per_detection": round(shards / max(summary["detections"], 1), 2),
            "reference_bytes_per_detection": round(pickles / max(summary["detections"], 1), 2),
        },
    )
