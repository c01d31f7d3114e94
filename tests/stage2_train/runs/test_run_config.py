"""What a run folder records, and when it may be gone on with."""

from dataclasses import replace
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.runs.run_config import (
    DataPaths,
    RunConfig,
    check_same_run,
    describe_dataset,
    load_run_config,
    segments_digest,
)
from orn.stage2_train.runs.run_folder import start_run


@pytest.fixture
def config(tiny_world, tiny_recipe) -> RunConfig:
    """A run on the tiny world."""
    return RunConfig(
        recipe_name="tiny",
        recipe=tiny_recipe,
        dataset=describe_dataset(
            tiny_world.dataset,
            tiny_world.dataset.classes,
            tiny_world.dataset.segments[:3],
            detector="drawn",
        ),
        paths=DataPaths(
            manifest="tiny", data_root=Path("data"), shards=Path("shards"), clips=Path("c")
        ),
    )


def test_saved_and_loaded(config, tmp_path) -> None:
    start_run(tmp_path / "run", config, threads=1)
    assert load_run_config(tmp_path / "run") == config


def test_no_run(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"wanted the folder of a training run, found no config"):
        load_run_config(tmp_path)


def test_paths_and_name_of_the_recipe_may_change(config) -> None:
    moved = replace(
        config, recipe_name="other", paths=replace(config.paths, data_root=Path("elsewhere"))
    )
    check_same_run(Path("run"), config, moved)


def test_differences_are_named(config) -> None:
    recipe = replace(
        config.recipe, seed=9, optimiser=replace(config.recipe.optimiser, batch_size=3)
    )
    dataset = replace(config.dataset, classes=("right", "left"))
    with pytest.raises(ConfigError) as caught:
        check_same_run(Path("run"), config, replace(config, recipe=recipe, dataset=dataset))
    message = str(caught.value)
    assert "recipe.seed is 5 there, 9 asked for" in message
    assert "recipe.optimiser.batch_size is 2 there, 3 asked for" in message
    assert "dataset.classes[1] is 'down' there, 'left' asked for" in message
    assert "give another --run" in message


def test_digest_sees_every_field(tiny_world) -> None:
    segments = tiny_world.dataset.segments[:2]
    digest = segments_digest(segments)
    assert digest == segments_digest(tuple(segments))
    changed = [
        (segments[1], segments[0]),
        segments[:1],
        (replace(segments[0], labels=(1,)), segments[1]),
        (replace(segments[0], start_seconds=0.5), segments[1]),
        (replace(segments[0], id="else"), segments[1]),
    ]
    assert len({digest, *(segments_digest(each) for each in changed)}) == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"top1"', '"map"', "dataset: metric: expected 'top1' for task 'single-label', got 'map'"),
        ('"single-label"', '"multi-label"', "expected 'map' for task 'multi-label', got 'top1'"),
    ],
)
def test_a_metric_of_the_other_task(config, tmp_path, old, new, message) -> None:
    start_run(tmp_path, config, threads=1)
    path = tmp_path / "config.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_run_config(tmp_path)
