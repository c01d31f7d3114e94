"""The three lines of the README's start, as typed in an empty folder, on real files."""

import csv
import shlex
import shutil
from pathlib import Path

import pytest

from tests.running import Ran, run_orn
from tests.stage1_detect.conftest import DEMO_CONFIG, save_random_weights
from tests.test_makefile import last_line

_VIDEOS = {
    "P01_01": "lavila__ego4d_3c0dffd0_012_014.mp4",
    "P02_01": "imageio__realshort.mp4",
    "P26_01": "mmaction2__part_0_pool.mp4",
}
"""Sample files as videos of EPIC; the last person validates."""
_SECONDS = ("00:00:00.00", "00:00:00.40", "00:00:00.90")
_TABLE = "EPIC_train_action_labels.csv"
_SMALL = (
    "--workers 0 --device cpu --max-steps 2 --set initial_weights=random --set precision=fp32 "
    "--set model.base_width=4 --set model.relation_width=8 --set optimizer.batch_size=2 "
    "--set phases.object_head_epochs=0 --set data.crop=[192,192]"
)


def make(folder: Path, target: str, **variables: str | Path) -> Ran:
    """Runs what the Makefile would run for `make TARGET NAME=VALUE...` in a folder."""
    line = last_line(target, *(f"{name}={value}" for name, value in variables.items()))
    program, *arguments = shlex.split(line)
    assert program == ".venv/bin/orn"
    return run_orn(*arguments, folder=folder)


@pytest.fixture
def clone(sample_data: Path, tmp_path: Path) -> Path:
    """A folder with nothing but `data/epic`: the published tables of classes, real labels and
    videos, two segments of each."""
    root = tmp_path / "data" / "epic"
    shutil.copytree(sample_data / "epic" / "annotations", root / "annotations")
    with (root / "annotations" / _TABLE).open(newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(2), strict=False)]
    for video_id, name in _VIDEOS.items():
        path = root / "videos" / video_id[:3] / f"{video_id}.MP4"
        path.parent.mkdir(parents=True)
        shutil.copy(sample_data / "clips" / "normal" / name, path)
    with (root / "annotations" / _TABLE).open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        for video_id in _VIDEOS:
            for number, row in enumerate(rows):
                table.writerow(
                    row
                    | {
                        "uid": f"{video_id}-{number}",
                        "participant_id": video_id[:3],
                        "video_id": video_id,
                        "start_timestamp": _SECONDS[number],
                        "stop_timestamp": _SECONDS[number + 1],
                    }
                )
    return tmp_path


@pytest.mark.slow
@pytest.mark.mmdet
@pytest.mark.real_data
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_detect_train_and_eval_are_of_one_data_set(clone: Path) -> None:
    weights = save_random_weights(DEMO_CONFIG, clone / "weights.pth")
    flags = f"--config {DEMO_CONFIG} --device cpu --workers 1 --score-threshold 0"
    make(clone, "detect", DATASET="epic", CHECKPOINT=weights, ARGS=flags)

    output = make(clone, "train", ARGS=f"{_SMALL} --json")
    first = output.stderr.splitlines()[0]
    assert first.startswith("epic: ") and "shards/epic" in first
    report = output.json
    assert (report["run"], report["step"]) == ("runs/epic-paper_epic-seed0", 2)
    assert (report["num_train"], report["num_validation"], report["num_skipped"]) == (4, 2, 0)

    output = make(clone, "eval", ARGS="--workers 0 --device cpu --json")
    assert output.stderr.splitlines()[0] == "runs/epic-paper_epic-seed0: the newest run on epic"
    report = output.json
    assert (report["dataset"], report["split"], report["num_segments"]) == ("epic", "validation", 2)
    assert report["step"] == 2
    made = {path.name for path in clone.iterdir()}
    assert made == {"data", "shards", "clips", "runs", "weights.pth"}
