"""The scripts of benchmarks/experiments/ run at their smallest size."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.running import run_python
from tests.worlds.videos import write_gray

SCRIPTS = ROOT / "benchmarks" / "experiments"


@pytest.mark.slow
@pytest.mark.mmdet
@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("scale.py --videos 24 --shards 8 --clips 0", {"plan", "open_shards", "cold_clip"}),
        (
            "train_demo_detector.py --out a.pth --films 3 --validation-films 1 --steps 2 --batch 2",
            {"average_precision"},
        ),
    ],
)
def test_a_script_prints_its_record(words: str, keys: set[str], tmp_path: Path) -> None:
    script, *options = words.split()
    ran = run_python(SCRIPTS / script, *options, folder=tmp_path, PYTHONPATH="")
    assert keys <= ran.json.keys()
    assert (tmp_path / "a.pth").is_file() == ("average_precision" in keys)


def make_set(folder: Path, *, has_windows: bool) -> None:
    """Writes six clips, or a window of each, of two activities, with an object in each frame."""
    rows = ["video,start,stop,label,group" if has_windows else "video,label,group,split"]
    images, objects = [], []
    for clip in range(6):
        name = f"c{clip}"
        write_gray(folder / "videos" / "a" / f"{name}.mp4", 6)
        label, group = ("walk", "run")[clip % 2], f"g{clip}"
        if has_windows:
            rows.append(f"videos/a/{name}.mp4,0.1,0.5,{label},{group}")
        else:
            rows.append(f"a/{name},{label},{group},{'test' if clip < 2 else 'train'}")
        for frame in range(6):
            number, file = len(images) + 1, f"a/{name}/{frame:06d}.jpg"
            images.append({"id": number, "width": 64, "height": 48, "file_name": file})
            objects.append({"id": number, "image_id": number, "category_id": 1, "score": 0.9,
                            "bbox": [4, 8, 30, 30], "area": 900, "iscrowd": 0,
                            "segmentation": [[4, 8, 34, 8, 34, 38]]})  # fmt: skip
    categories = [{"id": 1, "name": "person"}]
    if has_windows:
        images = [image | {"file_name": f"videos/{image['file_name']}"} for image in images]
        images, objects = images[5:], objects[5:]  # the first window begins before all of its own
    document = {"images": images, "annotations": objects, "categories": categories}
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "objects.json").write_text(json.dumps(document))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jhmdb", "robot"])
def test_real_videos_are_prepared_trained_and_reported(name: str, tmp_path: Path) -> None:
    """Whole videos with an official split, and windows of which one has no detections."""
    make_set(tmp_path / "set", has_windows=name == "robot")
    script = SCRIPTS / "real_videos.py"
    run_python(script, "prepare", name, tmp_path / "set", folder=tmp_path)
    run_python(script, "train", name, "baseline", folder=tmp_path)
    records = tmp_path / "benchmarks" / "results" / "real"
    clips = json.loads((records / f"{name}-clips.json").read_text())
    assert [len(values) for values in clips.values()] == [6] * len(clips)
    assert len(list(records.glob(f"{name}-baseline-seed0-fold-*.json"))) == 5
    ran = run_python(SCRIPTS / "real_report.py", name, folder=tmp_path)
    assert re.search(r"\| forest \| \d+\.\d \[", ran.stdout)
    assert ("Official test clips" in ran.stdout) == (name == "jhmdb")
