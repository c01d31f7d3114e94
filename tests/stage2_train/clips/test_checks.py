"""Clips without objects: a mistake that is named, or what was asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orn.shared.masks.detections import FrameDetections
from tests.running import LAPTOP, run_orn
from tests.worlds.films import Film, TinyWorld, words_of, write_films, write_films_shard
from tests.worlds.shards import blocks

WHOLE_FRAME = ("--set", "data.max_objects=0", "--set", "precision=bf16")


def nothing(film: Film, frame: int) -> FrameDetections:
    detections = film.detections(frame)
    return blocks(height=detections.height, width=detections.width)


@pytest.fixture
def with_shards(
    tiny_world: TinyWorld, workspace: dict[str, str], tmp_path: Path
) -> Callable[..., dict[str, str]]:
    """Options of `orn train` with other objects in the frames."""

    def make(detections: Callable[[Film, int], FrameDetections]) -> dict[str, str]:
        shards = tmp_path / "shards"
        films = [*tiny_world.films.values()]
        write_films_shard(shards / "shard-000000.zarr.zip", films, detections=detections)
        return workspace | {"--shards": str(shards)}

    return make


def test_shards_without_any_object_are_refused(with_shards) -> None:
    options = with_shards(nothing)
    message = run_orn("train", *words_of(options), exit_code=2).stderr
    assert f"{options['--shards']}: expected objects" in message
    assert "data.score_threshold" in message and "--set data.max_objects=0" in message
    assert not Path(options["--run"]).exists()


def test_the_whole_frame_alone_is_trained_explained_and_predicted(
    tiny_world: TinyWorld, with_shards, tmp_path: Path
) -> None:
    options = with_shards(nothing)
    videos = write_films(tiny_world, options)
    films = [film.in_video(videos[name]) for name, film in tiny_world.films.items()]
    shards = Path(options["--shards"]) / "shard-000000.zarr.zip"
    write_films_shard(shards, films, detections=nothing)
    run = Path(options["--run"])
    options["--clips"] = str(tmp_path / "clips")
    assert "have no objects" not in run_orn("train", *words_of(options), *WHOLE_FRAME).stderr
    run_orn("report", run, *LAPTOP)
    page = tmp_path / "page.html"
    words = ("--shards", options["--shards"], "--device", "cpu", "--json", "--pairs", "2")
    message = run_orn("predict", run, next(iter(videos.values())), *words, "--html", page)
    (window,) = [line for line in message.lines if line["kind"] == "window"]
    assert window["pairs"] and page.is_file()
