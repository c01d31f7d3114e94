"""No command writes over what it reads, or into a folder of something else."""

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
        (f"export-objects demo {SHARD}", SHARD),
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
def test_nothing_is_written_over(orn, small_demo: Path, arguments: str, named: str) -> None:
    Path("hard.mp4").hardlink_to(FILM)
    Path("notes").mkdir()
    Path("notes/config.json").write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in small_demo.rglob("*")}
    refused = orn(*arguments.split(), exit_code=2).stderr
    assert named in refused and "expected" in refused
    assert {path: path.stat().st_mtime_ns for path in small_demo.rglob("*")} == before
