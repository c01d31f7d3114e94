"""Whether both sides of `orn bench loader` make the same clip, and its real data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.benchmarks.loader import plain_clip, recipe_dataset
from orn.benchmarks.loader_inputs import LoaderInputs, loader_inputs
from orn.stage2_train.clips.sampling import centre_frames
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.recipe import load_recipe

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
@pytest.mark.real_data
def test_shards_of_real_masks_take_at_most_two_fifths(orn: Any, sample_data: Path) -> None:
    found = orn("bench", "loader", "--data", sample_data, "--repeats", 1, "--json").json
    assert found["real_clips"]
    assert found["shard_over_pickle"] <= 0.4


def test_no_data_is_told(orn: Any, tmp_path: Path) -> None:
    refused = orn("bench", "loader", "--data", tmp_path, exit_code=1).stderr
    assert "data set 'vlog': expected meta/manifest.txt" in refused
