"""No command writes over what it reads, or into a folder of something else."""

import shutil
from pathlib import Path

import pytest

RUN = "runs/demo"
FILM = "data/demo/videos/validation-000000.mp4"
SHARD = "shards/demo/shard-000000.zarr.zip"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (f"predict {RUN} {FILM} --overlay {FILM}", FILM),
        (f"inspect {SHARD} --overlay hard.mp4 --dataset demo", "hard.mp4"),
        (f"export-objects demo {SHARD} --format coco", SHARD),
        (f"export {RUN} notes", "notes"),
        (f"clips demo --fresh --out {FILM}", FILM),
        ("detect demo --out notes --fresh", "notes"),
        ("import-objects demo data --format epic100 --out notes", "notes"),
        ("train demo --run notes", "notes"),
        ("ablate demo --systems orn --out notes", "notes"),
        (f"inspect {SHARD} --html notes", "notes"),
        ("manifest new data/demo/labels.csv --fresh --out data/demo/labels.csv", "labels.csv"),
    ],
)
def test_nothing_is_written_over(
    orn, small_demo_run: Path, tmp_path: Path, monkeypatch, arguments: str, named: str
) -> None:
    folder = shutil.copytree(small_demo_run, tmp_path / "demo")
    (folder / "hard.mp4").hardlink_to(folder / FILM)
    (folder / "notes").mkdir()
    (folder / "notes" / "config.json").write_text("{}")
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    refused = orn(*arguments.split(), exit_code=2).stderr
    assert named in refused and "expected" in refused
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
