"""Films and pages of odd videos: `orn predict --overlay`, `--dataset`."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest

from orn.predict_videos.detecting import objects_in
from orn.predict_videos.inputs import find_videos
from orn.predict_videos.job import predict_all
from orn.predict_videos.request import PredictRequest
from orn.shared.manifests.records import Video
from orn.shared.pages.palette import activity_colour
from orn.shared.time_ranges import TimeRange
from orn.shared.video.read import content_digest
from orn.stage2_train.predict.film import draw_prediction
from orn.stage2_train.predict.truth import TrueSegment
from orn.stage2_train.predict.video import predict_video
from orn.stage2_train.predict.windows import WindowChoice, segments_of
from orn.stage2_train.runs.trained import open_model
from tests.predict_videos.conftest import predict, turned, validation
from tests.worlds.films import Film, write_films_shard
from tests.worlds.videos import write_pictures


def test_a_film_of_the_prediction(trained, tmp_path) -> None:
    (video, *_) = validation(trained)
    film = tmp_path / "out.mp4"
    window = ["--window", "0.4"]
    result = predict(trained, video, "--shards", trained.shards, "--overlay", film, *window)
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 8
    assert frames[0].shape[1] == 560
    assert (frames[0][-40:] != frames[7][-40:]).any()  # the cursor has moved
    assert "decided by" not in result.stdout


def test_drawing_a_film_tells_how_far_it_is(trained, tmp_path) -> None:
    (path, *_) = validation(trained)
    model, told = open_model(trained.run, device="cpu"), []
    bar = SimpleNamespace(advance=lambda n=1, *, note=None: told.append((n, note)))
    request = PredictRequest(shards=trained.shards, overlay=tmp_path / "out.mp4")
    list(predict_all(model, find_videos([str(path)]), request, bar=bar))
    assert told == [(0, f"drawn {number}/8") for number in range(1, 9)]  # none was detected


def test_a_film_is_of_one_video(trained, tmp_path) -> None:
    """Which is known before anything is opened."""
    words = (*validation(trained), "--overlay", tmp_path / "out.mp4")
    assert "got 4" in predict(trained, *words, model=tmp_path / "absent", exit_code=2).stderr


def test_in_every_frame_of_a_film_the_class_is_the_predicted_one(trained, tmp_path) -> None:
    """As the colour of its name tells, which is that of its place among those of the film."""
    model, film = open_model(trained.run, device="cpu"), tmp_path / "out.mp4"
    id, file = next(iter(trained.videos.items()))
    choice = WindowChoice(seconds=0.2, stride_seconds=0.2)
    objects = objects_in(trained.shards, model, any_detector=False)
    with objects(Video(id=id, path=file), lambda _: None) as (video, detections):
        windows = [
            turned(window, place % 2, place)
            for place, window in enumerate(
                predict_video(model, video, detections, choice=choice, pairs=1)
            )
        ]
        seen = detections.video(video.id)
        truth = [TrueSegment(times=TimeRange(0, 0.2), names=("right",))]
        draw_prediction(film, model, video, seen, windows, truth=truth)
    segments = list(segments_of(windows))
    order = list(dict.fromkeys(each.labels[0] for each in segments))
    assert len(order) == 2
    colours = np.array([activity_colour(place) for place in range(2)])
    shown = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            corner = frame.to_ndarray(format="rgb24")[2:6, 2:6].reshape(-1, 3).mean(axis=0)
            distances = np.abs(colours - corner).sum(axis=1)
            assert distances.min() < 30
            shown.append((frame.time, order[int(distances.argmin())]))
    assert len(shown) == seen.num_frames
    for seconds, label in shown:
        at = seconds + 1e-4  # half-open, and the film counts in ticks
        (segment,) = [each for each in segments if each.start_seconds <= at < each.stop_seconds]
        assert segment.labels == (label,)


@pytest.mark.parametrize(("threshold", "says"), [(0.0, "right"), (1.0, "none")])
def test_a_film_of_several_labels_names_those_from_the_threshold_up(
    trained, tmp_path, monkeypatch, threshold: float, says: str
) -> None:
    texts = []
    monkeypatch.setattr(
        "orn.stage2_train.predict.film.draw_text",
        lambda picture, text, *place, **style: texts.append(text),
    )
    opened = open_model(trained.run, device="cpu")
    dataset = replace(opened.config.dataset, task="multi-label", metric="map")
    model = replace(opened, config=replace(opened.config, dataset=dataset))
    id, file = next(iter(trained.videos.items()))
    objects = objects_in(trained.shards, model, any_detector=False)
    with objects(Video(id=id, path=file), lambda _: None) as (video, detections):
        windows = list(predict_video(model, video, detections))
        seen, out = detections.video(video.id), tmp_path / "out.mp4"
        draw_prediction(out, model, video, seen, windows, threshold=threshold)
    assert texts[0].startswith(says)


@pytest.mark.parametrize(("drop", "is_drawn"), [(0.0, False), (0.019, False), (0.4, True)])
def test_a_film_draws_a_pair_only_where_it_matters(
    trained, tmp_path, monkeypatch, drop: float, is_drawn: bool
) -> None:
    texts = []
    monkeypatch.setattr(
        "orn.stage2_train.predict.film.draw_text",
        lambda picture, text, *place, **style: texts.append(text),
    )
    model = open_model(trained.run, device="cpu")
    id, file = next(iter(trained.videos.items()))
    objects = objects_in(trained.shards, model, any_detector=False)
    with objects(Video(id=id, path=file), lambda _: None) as (video, detections):
        (window,) = predict_video(model, video, detections, pairs=1)
        pairs = tuple(replace(each, fall=drop) for each in window.pairs)
        windows = [replace(window, pairs=pairs)]
        draw_prediction(tmp_path / "out.mp4", model, video, detections.video(video.id), windows)
    assert any("without" in text for text in texts) == is_drawn
    assert any(text.startswith(model.classes[window.label]) for text in texts)


def test_truth_of_a_data_set_stands_beside_the_prediction(trained, tmp_path) -> None:
    (video, *_) = validation(trained)
    page, manifest = tmp_path / "out.html", trained.run.parent / "tiny.toml"
    more = ("--dataset", manifest, "--data", trained.data)
    predict(trained, video, "--shards", trained.shards, "--html", page, *more)
    assert 'aria-label="True"' in page.read_text()
    predict(trained, video, "--shards", trained.shards, "--html", page)
    assert 'aria-label="True"' not in page.read_text()
    other = shutil.copy(video, tmp_path / "other.mp4")
    result = predict(trained, other, "--shards", trained.shards, *more, exit_code=2)
    assert "--dataset" in result.stderr and "--data" in result.stderr


def test_a_video_of_one_frame_has_a_prediction_a_page_and_a_film(trained, tmp_path) -> None:
    film = Film(id="one", boxes_FN4=np.full((1, 3, 4), [10, 10, 30, 30]))
    video = write_pictures(tmp_path / "one.mp4", [film.image(0)])
    film = replace(film, digest=content_digest(video))
    write_films_shard(tmp_path / "shards" / "shard-000000.zarr.zip", [film])
    outputs = ("--html", tmp_path / "out.html", "--overlay", tmp_path / "out.mp4")
    result = predict(trained, video, "--shards", tmp_path / "shards", *outputs, "--json")
    assert [each["kind"] for each in result.lines] == ["window", "segment"]
    assert result.lines[0]["label"] == result.lines[1]["labels"][0]
    assert result.lines[0]["classes"] == result.lines[1]["classes"]
    assert (tmp_path / "out.mp4").stat().st_size
    assert 'class="card panel"' in (tmp_path / "out.html").read_text()
