"""`orn inspect --run`: what a run predicted beside the frames of a shard."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.shared.masks.detections import FrameDetections
from orn.stage2_train.runs.predictions import save_predictions
from tests.worlds.evaluations import predictions_of
from tests.worlds.films import write_tiny_model
from tests.worlds.shards import CUP, blocks, counted, write_shard
from tests.worlds.tables import write_table
from tests.worlds.videos import write_gray


@pytest.fixture
def asked(tmp_path: Path) -> list[str | Path]:
    """What `orn inspect` is called with, for a shard of the videos a and b."""
    rows = ("video,label,split", "a,pour,train", "b,stir,validation", "c,pour,test")
    manifest = write_table(tmp_path, "mine", rows, classes=("pour", "stir"))
    for name in "abc":
        write_gray(tmp_path / "data" / "mine" / "videos" / f"{name}.mp4", 2)
    detections: FrameDetections = blocks((CUP, 0.9, 1, 1, 5, 5), height=8, width=8)
    shard = write_shard(
        tmp_path / "shard-000000.zarr.zip",
        {name: counted([detections], 0) for name in "ab"},
        size=(8, 8),
    )
    return ["inspect", shard, "--dataset", manifest, "--data", tmp_path / "data"]


def predict(run: Path, split: str, name: str, logits: list[float]) -> None:
    """What `orn eval` keeps of one segment."""
    run.mkdir(exist_ok=True)
    predictions = predictions_of([name], [0], activity_logits=[logits])
    save_predictions(run / f"predictions-{split}.npz", predictions)


def index(page: Path) -> dict:
    text = (page / "index.html").read_text("utf-8").split('id="index">')[1].split("</script>")[0]
    return json.loads(text)


def segments(page: Path) -> list[list]:
    """Of each video, its segments without their times."""
    return [[segment[2:] for segment in video["segments"]] for video in index(page)["videos"]]


@pytest.mark.parametrize("split", ["validation", "folds"])
def test_labels_of_the_data_set_and_predictions_of_a_run(orn, asked, tmp_path, split) -> None:
    page, run = tmp_path / "page", tmp_path / "run"
    orn(*asked, "--html", page)
    assert segments(page) == [[[[0], None]], [[[1], None]]]
    predict(run, split, "b", [0.0, np.log(3)])
    predict(run, "test", "c", [1.0, 0.0])
    orn(*asked, "--html", page, "--run", run)
    assert segments(page) == [[[[0], None]], [[[1], [[1, 0.75]]]]]


@pytest.mark.parametrize("folder", ["", "fold-1"])
def test_a_page_begins_with_the_objects_that_the_run_reads(orn, asked, tmp_path, folder) -> None:
    """For folds, each of them reads the same."""
    page, run = tmp_path / "page", tmp_path / "run"
    predict(run, "validation", "b", [0.0, 1.0])
    (run / folder).mkdir(exist_ok=True)
    config, _ = write_tiny_model(run / folder)
    orn(*asked, "--html", page, "--run", run)
    assert index(page)["least"] == config.recipe.data.score_threshold != 0.5
    orn(*asked, "--html", page, "--run", run, "--score-threshold", "0.7")
    assert index(page)["least"] == 0.7
