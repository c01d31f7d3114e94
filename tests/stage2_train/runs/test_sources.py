"""Batches that no memory holds are refused before clips are made."""

from dataclasses import replace
from typing import Any

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.runs import sources
from orn.stage2_train.runs.sources import clip_settings

OF_DATA: Any = {"task": "single-label", "clip_frames": 4}


def test_a_batch_larger_than_the_memory(tiny_recipe, monkeypatch) -> None:
    monkeypatch.setattr(sources, "machine_memory", lambda: 8 << 30)
    optimiser = replace(tiny_recipe.optimiser, batch_size=100_000)
    recipe = replace(
        tiny_recipe, optimiser=optimiser, data=replace(tiny_recipe.data, clip_frames=1000)
    )
    with pytest.raises(ConfigError) as caught:
        clip_settings(recipe, **OF_DATA)
    assert str(caught.value).startswith(
        "optimiser.batch_size: wanted a batch that fits this machine's memory of 9 GB, found "
        "100000 clips of 1000 frames of 32 x 48, whose bytes alone take 461 GB; wanted at most 1864"
    )
    object_head = replace(tiny_recipe.model, heads="object", object_parts=("shape", "class"))
    assert clip_settings(replace(recipe, model=object_head), **OF_DATA).num_frames == 1000
    assert clip_settings(tiny_recipe, **OF_DATA).num_frames == 4


def test_a_batch_of_the_first_phase_larger_than_the_memory(tiny_recipe, monkeypatch) -> None:
    monkeypatch.setattr(sources, "machine_memory", lambda: 8 << 30)
    phases = replace(tiny_recipe.phases, object_head_batch_size=100_000)
    data = replace(tiny_recipe.data, clip_frames=1000)
    with pytest.raises(ConfigError, match=r"^phases\.object_head_batch_size: wanted a batch"):
        clip_settings(replace(tiny_recipe, phases=phases, data=data), **OF_DATA)
