"""Films and pages of odd videos: `orn predict --overlay`, `--dataset`."""

import shutil
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from orn.shared.pages.palette import activity_colour
from orn.shared.time_ranges import TimeRange
from orn.shared.video.read import read_frames
from orn.stage2_train.predict.overlay import draw_prediction
from orn.stage2_train.predict.truth import TrueSegment
from orn.stage2_train.predict.video import predict_detected
from orn.stage2_train.predict.windows import WindowChoice
from orn.stage2_train.runs.trained import open_model
from tests.predict_videos.conftest import (
    first_video,
    predict,
    segments_of,
    turned,
    validation,
    with_classes,
)
from tests.worlds.films import Film, write_films_shard
from tests.worlds.videos import write_pictures


def test_every_frame_of_a_film_has_its_own_objects_and_the_predicted_class(
    trained, tmp_path
) -> None:
    """As the colour of the class tells, which is that of its place among those of the film."""
    model, film = open_model(trained.run, device="cpu"), tmp_path / "out.mp4"
    choice = WindowChoice(seconds=0.2, stride_seconds=0.2)
    with first_video(trained, model) as (video, detections):
        windows = turned(predict_detected(model, video, detections, choice=choice, pairs=1))
        seen = detections.video(video.id)
        truth = [TrueSegment(times=TimeRange(0, 0.2), names=("right",))]
        recorded = Mock(wraps=seen, video=seen.video)
        draw_prediction(film, model, video, recorded, windows, truth=truth)
    rows = [call.args[0] for call in recorded.frame.call_args_list]
    assert rows == list(range(seen.num_frames))
    segments = list(segments_of(windows))
    order = list(dict.fromkeys(each.labels[0] for each in segments))
    assert len(order) == 2
    colours = np.array([activity_colour(place) for place in range(2)])
    shown = list(read_frames(film))
    assert len(shown) == seen.num_frames
    for frame in shown:
        corner = frame.image[2:6, 2:6].reshape(-1, 3).mean(axis=0)
        distances = np.abs(colours - corner).sum(axis=1)
        assert distances.min() < 30
        at = frame.seconds + 1e-4  # half-open, and the film counts in ticks
        (segment,) = [each for each in segments if each.start_seconds <= at < each.stop_seconds]
        assert segment.labels == (order[int(distances.argmin())],)


@pytest.fixture
def drawn_texts(monkeypatch) -> list[str]:
    """What is written into pictures."""
    texts: list[str] = []
    monkeypatch.setattr(
        "orn.stage2_train.predict.overlay.draw_text",
        lambda picture, text, *place, **style: texts.append(text),
    )
    return texts


@pytest.mark.parametrize(("threshold", "says"), [(0.0, "right"), (1.0, "none")])
def test_a_film_of_several_labels_names_those_from_the_threshold_up(
    trained, tmp_path, drawn_texts, threshold: float, says: str
) -> None:
    model = with_classes(open_model(trained.run, device="cpu"), "right", "down", task="multi-label")
    with first_video(trained, model) as (video, detections):
        windows = list(predict_detected(model, video, detections))
        seen, out = detections.video(video.id), tmp_path / "out.mp4"
        draw_prediction(out, model, video, seen, windows, threshold=threshold)
    assert drawn_texts[0].startswith(says)


def test_a_film_draws_a_pair_only_where_it_matters(trained, tmp_path, drawn_texts) -> None:
    model = open_model(trained.run, device="cpu")
    with first_video(trained, model) as (video, detections):
        (window,) = predict_detected(model, video, detections, pairs=1)
        for drop, is_drawn in ((0.0, False), (0.019, False), (0.4, True)):
            drawn_texts.clear()
            windows = [
                replace(window, pairs=[replace(each, logit_drop=drop) for each in window.pairs])
            ]
            draw_prediction(tmp_path / "out.mp4", model, video, detections.video(video.id), windows)
            assert any("without" in text for text in drawn_texts) == is_drawn
            assert any(text.startswith(model.classes[window.label]) for text in drawn_texts)


def test_pairs_are_drawn_where_the_objects_are_on_a_grid_of_any_size(trained, tmp_path) -> None:
    model = open_model(trained.run, device="cpu")
    with first_video(trained, model) as (video, detections):
        (window,) = predict_detected(model, video, detections, pairs=1)
        seen = detections.video(video.id)
        window = replace(window, pairs=[replace(each, logit_drop=0.4) for each in window.pairs])
        films = []
        for across, down in ((1, 1), (2, 4)):
            entry = seen.video
            grid = replace(entry, width=across * entry.width, height=down * entry.height)
            objects = [
                [replace(each, box=np.multiply(each.box, [across, down] * 2)) for each in frame]
                for frame in window.objects
            ]
            found, shown = replace(window, objects=objects), Mock(wraps=seen, video=grid)
            draw_prediction(tmp_path / "out.mp4", model, video, shown, [found])
            films.append([frame.image for frame in read_frames(tmp_path / "out.mp4")])
    np.testing.assert_array_equal(*films)


def test_truth_of_a_data_set_stands_beside_the_prediction(trained, tmp_path) -> None:
    (video, *_) = validation(trained)
    page, manifest = tmp_path / "out.html", trained.run.parent / "tiny.toml"
    more = ("--dataset", manifest, "--data", trained.data)
    for words in (more, ()):
        predict(trained, video, "--shards", trained.shards, "--html", page, *words)
        assert ('aria-label="True"' in page.read_text()) == bool(words)
    other = shutil.copy(video, tmp_path / "other.mp4")
    result = predict(trained, other, "--shards", trained.shards, *more, exit_code=2)
    assert "--dataset" in result.stderr and "--data" in result.stderr


def test_a_video_of_one_frame_has_a_prediction_a_page_and_a_film(trained, tmp_path) -> None:
    film = Film(id="one", boxes_FN4=np.full((1, 3, 4), [10, 10, 30, 30]))
    video = write_pictures(tmp_path / "one.mp4", [film.image(0)])
    film = film.in_video(video)
    write_films_shard(tmp_path / "shards" / "shard-000000.zarr.zip", [film])
    outputs = ("--html", tmp_path / "out.html", "--overlay", tmp_path / "out.mp4")
    result = predict(trained, video, "--shards", tmp_path / "shards", *outputs, "--json")
    window, segment = result.lines
    assert (window["kind"], segment["kind"]) == ("window", "segment")
    assert [window["label"]] == segment["labels"]
    assert window["classes"] == segment["classes"]
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 1
    assert 'class="card panel"' in (tmp_path / "out.html").read_text()
