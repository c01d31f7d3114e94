"""`orn bench loader`, run once on short clips, and whether both sides make the same clip."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.benchmarks.loader import loading_share, measure, plain_clip, recipe_dataset
from orn.benchmarks.loader_inputs import LoaderInputs, loader_inputs
from orn.stage2_train.clips.sampling import centre_frames
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.recipe import DataRecipe, Recipe, load_recipe

PIXELS = 8  # brightness levels that JPEG costs on average, on a coarse and colourful texture
SHARE = 0.05  # coverage that PIL moves over the borders of cells, which it blurs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> LoaderInputs:
    """Two short generated clips."""
    return loader_inputs(tmp_path_factory.mktemp("inputs"), None, made_frames=(8, 6))


def test_both_sides_make_the_same_clip(inputs) -> None:
    recipe = load_recipe("ablation_resnet18", num_activities=30)
    ours = recipe_dataset(inputs, recipe, num_segments=2)[ClipRequest(0)]
    frames, masks, cells = plain_clip(inputs, 0, places=centre_frames(8, 4), num_frames=8)
    assert ours.frames.shape == frames.shape == (4, 224, 224, 3)
    difference = ours.frames[:, None].astype(np.int16) - frames[None]
    difference_TT = np.abs(difference).mean(axis=(2, 3, 4))
    assert difference_TT.argmin(axis=1).tolist() == [0, 1, 2, 3]
    assert np.diag(difference_TT).max() < PIXELS
    is_object = ours.slots.valid & (ours.slots.labels < 80)
    for found, wanted in ((ours.slots.masks, masks), (ours.slots.coverage, cells)):
        covered = (found * is_object[:, :, None, None]).sum(axis=1)[0]
        assert np.abs(covered - wanted.sum(axis=1)[0]).mean() < SHARE


@pytest.mark.slow
def test_measures_everything() -> None:
    result = measure(repeats=1, clips=2, made_frames=(8, 6)).as_json()
    for name in ("ratio", "ours_seconds", "reference_seconds", "jpeg_only_seconds"):
        assert result[name] > 0
    for way, seconds in (("ours", "ours_seconds"), ("unopened", "unopened_seconds")):
        expected = result[seconds] / result["jpeg_only_seconds"]
        assert result[f"{way}_over_jpeg_only"] == pytest.approx(expected)
    assert result["clips_per_second_2_workers"] > 0
    assert result["store_bytes_per_frame"] > result["shard_bytes_per_frame"] > 0
    assert not result["real_clips"]


def test_share_of_waiting(inputs) -> None:
    model = NetworkConfig(num_activities=2, backbone="resnet18", base_width=2)
    recipe = Recipe(model=model, data=DataRecipe(crop=(32, 32), clip_frames=2))
    found = loading_share(inputs, recipe, batch_size=2, steps=2, workers=0)
    assert 0 < found["share"] < 1
    assert found["step_seconds"] > 0


def test_no_data_is_told(orn: Any, tmp_path: Path) -> None:
    refused = orn("bench", "loader", "--data", tmp_path, exit_code=1).stderr
    assert "data set 'vlog': expected meta/manifest.txt" in refused
