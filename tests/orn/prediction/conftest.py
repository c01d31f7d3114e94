"""A run on the tiny world with real videos, and everything in it as a user has it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.data_manifests.records import METRICS, Task, Video
from orn.prediction.detecting import objects_in
from orn.prediction.prediction_records import WindowPrediction
from orn.stage2_train.runs.saved_predictions import probabilities
from orn.stage2_train.runs.trained import OpenedModel
from tests.running import Ran, run_orn
from tests.worlds.films import build_world, make_workspace, words_of, write_films, write_films_shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Where things lie."""

    run: Path
    shards: Path
    data: Path
    clips: Path
    videos: dict[str, Path]
    """By id."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained on a clip store, evaluated on the validation split; read-only."""
    folder = tmp_path_factory.mktemp("predict")
    world = build_world(tmp_path_factory.mktemp("world"))
    options = make_workspace(world, folder)
    videos = write_films(world, options)
    films = [film.in_video(videos[id]) for id, film in world.films.items()]
    write_films_shard(folder / "shards" / "shard-000000.zarr.zip", films)
    options["--shards"] = str(folder / "shards")
    options["--clips"] = str(folder / "clips")
    data = ("--data", options["--data"])
    run_orn("clips", options["manifest"], *data, "--out", folder / "clips")
    run_orn("train", *words_of(options), "--set", "precision=bf16")
    run_orn("eval", options["--run"], "--workers", "0", "--device", "cpu")
    return Trained(
        run=Path(options["--run"]),
        shards=folder / "shards",
        data=Path(options["--data"]),
        clips=folder / "clips",
        videos=videos,
    )


def predict(
    trained: Trained, *arguments: object, model: Path | None = None, exit_code: int = 0
) -> Ran:
    words = (model or trained.run, *arguments, "--device", "cpu")
    return run_orn("predict", *words, exit_code=exit_code)


def windows(ran: Ran) -> list[dict[str, Any]]:
    return [line for line in ran.lines if line["kind"] == "window"]


def evaluate_as_new(trained: Trained, model: object) -> Ran:
    """`orn eval` of a model that does not know where data lie."""
    data = ("--data", trained.data, "--shards", trained.shards, "--clips", trained.clips)
    words = ("--dataset", trained.run.parent / "tiny.toml", *data, "--workers", "0")
    return run_orn("eval", model, *words, "--device", "cpu", "--json")


def validation(trained: Trained) -> list[Path]:
    return [path for number, path in enumerate(trained.videos.values()) if number % 3 == 2]


def with_classes(model: OpenedModel, *names: str, task: Task = "single-label") -> OpenedModel:
    config = model.config
    dataset = replace(config.dataset, classes=names, task=task, metric=METRICS[task])
    network = replace(config.recipe.model, num_activities=len(names))
    recipe = replace(config.recipe, model=network)
    return replace(model, config=replace(config, dataset=dataset, recipe=recipe))


@contextmanager
def first_video(trained: Trained, model: OpenedModel) -> Iterator[tuple[Video, Any]]:
    """The first video and its detections, as a prediction finds them."""
    id, file = next(iter(trained.videos.items()))
    objects = objects_in(trained.shards, model, any_detector=False)
    with objects(Video(id=id, path=file), lambda _: None) as (video, detections):
        yield video, detections


def turned(windows: Iterable[WindowPrediction]) -> list[WindowPrediction]:
    """The windows as if they had predicted two classes in turn, almost surely."""
    frames = []
    for number, window in enumerate(windows):
        logits = np.full(2, -9 - number, np.float32)
        logits[number % 2] = 9
        chances = probabilities(logits, multi_label=False)
        own = dict.fromkeys(window.logits, logits)
        labels = (number % 2,)
        frames.append(replace(window, logits=own, probabilities=chances, labels=labels))
    return frames
