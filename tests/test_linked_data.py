"""Data that is linked from another disk, from the table to a trained network."""

from pathlib import Path

import pytest

from tests.running import run_orn
from tests.worlds.videos import write_gray

SMALL = (
    *("--recipe", "demo", "--device", "cpu", "--workers", 0, "--max-steps", 1),
    *("--set", "initial_weights=random", "--set", "model.base_width=4"),
    *("--set", "model.relation_width=8", "--set", "optimizer.batch_size=2"),
    *("--set", "data.crop=[96,96]", "--set", "data.max_objects=0"),
)


@pytest.mark.mmdet
@pytest.mark.parametrize("linked", ["data set", "folder", "files"])
def test_links_are_followed_by_each_step(
    tmp_path: Path, linked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    disk = tmp_path / "disk" / "kitchen"
    for number in range(3):
        write_gray(disk / "videos" / f"{number}.mp4", 4)
    rows = ["video,label,split", "0,open,train", "1,close,train", "2,open,validation"]
    (disk / "labels.csv").write_text("\n".join(rows))
    kitchen = tmp_path / "kitchen"
    if linked == "data set":
        kitchen.symlink_to(disk)
    else:
        kitchen.mkdir()
        (kitchen / "labels.csv").write_text("\n".join(rows))
        if linked == "folder":
            (kitchen / "videos").symlink_to(disk / "videos")
        else:
            (kitchen / "videos").mkdir()
            for path in (disk / "videos").iterdir():
                (kitchen / "videos" / path.name).symlink_to(path)
    before = sorted(disk.rglob("*"))
    data = ("--data", ".")
    made = run_orn("manifest", "new", "kitchen/labels.csv", *data, "--json").json
    assert (made["pattern"], made["videos"]["present"]) == ("videos/{id}.mp4", 3)
    checked = run_orn("manifest", "check", "kitchen.toml", *data, "--probe", "--json").json
    assert (checked["videos"]["present"], checked["unreadable"]) == (3, {})
    options = ("kitchen.toml", *data, "--json")
    detected = run_orn("detect", *options, "--config", "mask_rcnn_demo", "--workers", 1).json
    assert (detected["total_frames"], detected["failed"]) == (12, [])
    assert run_orn("clips", *options, "--workers", 1).json["frames"] == 12
    assert run_orn("train", *options, *SMALL).json["num_skipped"] == 0
    assert sorted({*disk.rglob("*")} - {disk / "classes.txt"}) == before
