"""A run on the tiny world with real videos, and everything in it as a user has it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.video.read import content_digest
from tests.browser import chromium  # noqa: F401
from tests.worlds.films import build_world, make_workspace, write_films_shard
from tests.worlds.videos import write_pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Where things lie."""

    run: Path
    shards: Path
    data: Path
    clips: Path
    videos: dict[str, Path]
    """By id."""


def call(*arguments: object) -> Result:
    """Runs `orn` in this process."""
    return CliRunner().invoke(orn, [str(each) for each in arguments])


@pytest.fixture(scope="session")
def orn_call() -> Callable[..., Result]:
    """`call`, for other folders of tests."""
    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained on a clip store, evaluated on the validation split; read-only."""
    folder = tmp_path_factory.mktemp("predict")
    world = build_world(tmp_path_factory.mktemp("world"))
    options = make_workspace(world, folder)
    videos, films = {}, []
    for film in world.films.values():
        path = videos[film.id] = Path(options["--data"]) / "tiny" / f"{film.id}.mp4"
        write_pictures(path, [film.image(frame) for frame in range(len(film.boxes_FN4))])
        films.append(replace(film, digest=content_digest(path)))
    write_films_shard(folder / "shards" / "shard-000000.zarr.zip", films)
    options["--shards"] = str(folder / "shards")
    options["--clips"] = str(folder / "clips.h5")
    made = call(
        "clips", options["manifest"], "--data", options["--data"], "--out", folder / "clips.h5"
    )
    assert made.exit_code == 0, made.stderr
    flags = [part for name in options if name != "manifest" for part in (name, options[name])]
    for arguments in (
        ["train", options["manifest"], *flags],
        ["eval", options["--run"], "--workers", "0", "--device", "cpu"],
    ):
        result = call(*arguments)
        assert result.exit_code == 0, result.stderr
    return Trained(
        run=Path(options["--run"]),
        shards=folder / "shards",
        data=Path(options["--data"]),
        clips=folder / "clips.h5",
        videos=videos,
    )


def predict(trained: Trained, *arguments: object, model: Path | None = None) -> Result:
    return call("predict", model or trained.run, *arguments, "--device", "cpu")


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def validation(trained: Trained) -> list[Path]:
    return [path for number, path in enumerate(trained.videos.values()) if number % 3 == 2]
