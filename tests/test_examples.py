"""The examples run, and say what they are there to say."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn import open_dataset, open_shard
from orn.stage2_train.runs.saved_predictions import save_predictions
from tests.conftest import ROOT
from tests.worlds.evaluations import predictions_of

EXAMPLES = ROOT / "examples"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


@pytest.mark.slow
def test_examples_say_what_they_say() -> None:
    assert example("relate_objects")["main"]() > 0.95
    result = example("pool_under_masks")["main"]()
    assert result["masks"] > 0.9
    assert result["boxes"] < 0.7  # 60 % is the most that chance and one color of two give


def test_examples_run_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    example("relate_objects")["main"](steps=2)
    example("pool_under_masks")["main"](steps=1)
    assert "on 2000 new clips" in capsys.readouterr().out


def test_late_fusion_averages_two_runs(tmp_path: Path) -> None:
    logits = {  # right on two films, on one, together on three
        "activity": [[3, 0], [1, 0], [0, 3], [0, 1]],
        "object": [[0, 1], [0, 3], [2, 0], [0, 1]],
    }
    for head, own in logits.items():
        predictions = predictions_of("abcd", [0, 1, 1, 0], **{f"{head}_logits": own})
        (tmp_path / head).mkdir()
        save_predictions(tmp_path / head / "predictions-test.npz", predictions)
    fuse = example("late_fusion")["late_fusion"]
    scores = fuse(tmp_path / "activity", tmp_path / "object", "test")
    assert list(scores.values()) == [0.5, 0.25, 0.75]


KINDS = ("boxes", "masks", "class-scores")


@pytest.fixture(scope="module")
def own_shards(small_demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each kind a folder with the shards that the example writes of the small demo."""
    folder = tmp_path_factory.mktemp("own")
    videos = sorted((small_demo_run / "data" / "demo" / "videos").glob("*.mp4"))
    write = example("write_shard")["main"]
    for kind in KINDS:
        for number, some in enumerate((videos[:4], videos[4:])):
            write(folder / kind / f"shard-{number:06d}.zarr.zip", some, kind)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_shards_of_any_detector(orn, small_demo_run, own_shards, kind, monkeypatch) -> None:
    monkeypatch.chdir(small_demo_run)
    folder = own_shards / kind
    first = folder / "shard-000000.zarr.zip"
    orn("verify", folder)
    assert f"colored {kind} 1.0" in orn("inspect", first).stdout
    shard = open_shard(first)
    assert shard.has_class_scores == (kind == "class-scores")
    frame = max(shard, key=lambda frame: len(frame.detections))
    masks_NHW, boxes_N4 = frame.detections.mask_arrays(), frame.detections.boxes
    sides_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
    assert (masks_NHW.sum(axis=(1, 2)) == sides_N2.prod(axis=1)).all() == (kind == "boxes")
    [batch] = open_dataset("demo", shards=folder).batches("validation")
    assert batch.valid_BTK.sum() > 2 * 4  # objects beside the background of each frame


def test_shortcuts_see_what_object_counts_give_away(small_demo_run, monkeypatch, capsys) -> None:
    monkeypatch.chdir(small_demo_run)
    names = example("shortcuts")
    result = names["main"]("demo")
    assert "object counts: " in capsys.readouterr().out
    assert set(result) == {"majority", "object counts"}
    assert all(0 <= share <= 1 for share in result.values())
    counts_NF, labels_NA = np.eye(6), np.eye(6)[[0, 1, 2, 0, 1, 2]]  # one object for each clip
    scores_NA = names["ridge_scores"](counts_NF, labels_NA, counts_NF)
    assert names["accuracy"](scores_NA, labels_NA) == 1
    assert names["accuracy"](scores_NA, -labels_NA) == 0  # labels that the loss ignores
