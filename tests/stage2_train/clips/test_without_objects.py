"""Clips without objects: a mistake that is named, or what was asked for."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.runs.open_data import Sources
from tests.reference.object_video_network import clip_logits
from tests.running import run_orn
from tests.worlds.films import (
    TINY_RECIPE,
    Film,
    TinyWorld,
    words_of,
    write_films,
    write_films_shard,
)
from tests.worlds.shards import blocks

LAPTOP = ("--workers", "0", "--device", "cpu")
WHOLE_FRAME = ("--set", "data.max_objects=0", "--set", "precision=bf16")


def nothing(film: Film, frame: int) -> FrameDetections:
    found = film.detections(frame)
    return blocks(height=found.height, width=found.width)


def nothing_late(film: Film, frame: int) -> FrameDetections:
    return nothing(film, frame) if frame >= 2 else film.detections(frame)


@pytest.fixture
def with_shards(
    tiny_world: TinyWorld, workspace: dict[str, str], tmp_path: Path
) -> Callable[..., dict[str, str]]:
    """Options of `orn train` with other objects in the frames."""

    def make(found: Callable[[Film, int], FrameDetections]) -> dict[str, str]:
        shards = tmp_path / "shards"
        films = [*tiny_world.films.values()]
        write_films_shard(shards / "shard-000000.zarr.zip", films, found=found)
        return workspace | {"--shards": str(shards)}

    return make


def test_shards_without_any_object_are_refused(with_shards) -> None:
    options = with_shards(nothing)
    said = run_orn("train", *words_of(options), exit_code=2).stderr
    assert f"{options['--shards']}: expected objects with a score of at least 0.5" in said
    assert "data.score_threshold" in said and "--set data.max_objects=0" in said
    assert not Path(options["--run"]).exists()


def test_many_frames_without_objects_are_a_warning(with_shards, one_step) -> None:
    options = with_shards(nothing_late)
    said = " ".join(run_orn("train", *words_of(options), "--max-steps", "1").stderr.split())
    assert said.count("75 % of frames (24 of 32 read) have no objects with a score of at") == 1
    named = ("--shards", options["--shards"], "--name", "late")
    assert "have no objects with a score" in run_orn("eval", one_step, *named, *LAPTOP).stderr
    assert "have no objects" not in run_orn("eval", one_step, *LAPTOP).stderr


def test_the_whole_frame_alone_is_trained_explained_and_predicted(
    tiny_world: TinyWorld, with_shards, tmp_path: Path
) -> None:
    options = with_shards(nothing)
    videos = write_films(tiny_world, options)
    films = [film.in_video(videos[name]) for name, film in tiny_world.films.items()]
    shards = Path(options["--shards"]) / "shard-000000.zarr.zip"
    write_films_shard(shards, films, found=nothing)
    run, more = Path(options["--run"]), ("--no-clip-store",)
    options.pop("--clips")
    assert "have no objects" not in run_orn("train", *words_of(options), *more, *WHOLE_FRAME).stderr
    run_orn("report", run, *LAPTOP)
    page = tmp_path / "page.html"
    words = ("--shards", options["--shards"], "--device", "cpu", "--json", "--pairs", "2")
    said = run_orn("predict", run, next(iter(videos.values())), *words, "--html", page)
    (window,) = [line for line in said.lines if line["kind"] == "window"]
    assert window["pairs"] and page.is_file()


def test_the_background_alone_equals_the_reference(tiny_world: TinyWorld) -> None:
    recipe = replace(TINY_RECIPE, data=replace(TINY_RECIPE.data, max_objects=0))
    sources = Sources(
        dataset=tiny_world.dataset,
        clips=tiny_world.clips(),
        detections=DetectionFolder(tiny_world.shards_path),
    )
    clips = sources.clip_dataset(sources.join("validation", recipe), recipe)
    batch = collate([clips[place] for place in range(2)]).inputs()
    assert batch.valid_BTK.shape[2] == 1 and batch.valid_BTK.all()
    torch.testing.assert_close(batch.coverage_BTKhw, torch.ones_like(batch.coverage_BTKhw))
    values = {each.name: getattr(batch, each.name) for each in fields(batch)}
    batch = NetworkInputs(
        **{
            name: value.double() if value.is_floating_point() else value
            for name, value in values.items()
        }
    )
    torch.manual_seed(0)
    network = ObjectVideoNetwork(recipe.model).double().eval()
    with torch.no_grad():
        found = network(batch)
    for clip in range(2):
        activity_A, object_A, *_ = clip_logits(recipe.model, network.state_dict(), batch, clip=clip)
        torch.testing.assert_close(found.activity_logits_BA[clip], activity_A)
        torch.testing.assert_close(found.object_logits_BA[clip], object_A)
