"""Films: `orn predict --overlay`."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np

from orn.prediction.predict_windows import predict_video
from orn.prediction.prediction_overlay import draw_windows
from orn.prediction.prediction_records import PredictedVideo
from orn.shared.pages.palette import activity_color
from orn.shared.video.read import read_frames
from orn.stage2_train.runs.trained import open_model
from tests.orn.prediction.conftest import first_video, predict, turned
from tests.worlds.films import Film, write_films_shard
from tests.worlds.videos import write_pictures


def test_every_frame_of_a_film_has_its_own_objects_and_the_predicted_class(
    trained, tmp_path
) -> None:
    """As the color of the class tells, which is that of its place among those of the film."""
    model, film = open_model(trained.run, device="cpu"), tmp_path / "out.mp4"
    with first_video(trained, model) as (video, detections):
        windows = turned(predict_video(model, video, detections, window=0.4, pairs=1))
        seen = detections.video(video.id)
        interval = seen.interval_seconds
        recorded = Mock(wraps=seen, video=seen.video, interval_seconds=interval)
        predicted = PredictedVideo(name="a", video=video, detections=recorded, windows=windows)
        draw_windows(film, model, predicted, Mock())
    rows = [call.args[0] for call in recorded.frame.call_args_list]
    assert rows == list(range(seen.num_frames))
    order = list(dict.fromkeys(window.labels[0] for window in windows))
    assert len(order) == 2
    shown = list(read_frames(film))
    assert len(shown) == seen.num_frames
    fitted = replace(model.temperatures, fitted_on="the validation split")
    draw_windows(tmp_path / "fitted.mp4", replace(model, temperatures=fitted), predicted, Mock())
    heights = [next(read_frames(path)).image.shape[0] for path in (film, tmp_path / "fitted.mp4")]
    assert heights[0] > heights[1]  # which says that the model is not calibrated
    for frame in shown:
        corner = frame.image[2:6, 2:6].reshape(-1, 3).mean(axis=0)
        colors = [  # a border is either
            activity_color(order.index(window.labels[0]))
            for window in windows
            if window.start_seconds - 1e-4 <= frame.seconds < window.stop_seconds
        ]
        assert min(np.abs(color - corner).sum() for color in np.array(colors)) < 30


def test_a_film_has_every_frame_where_objects_are_on_every_fourth(trained, tmp_path) -> None:
    film = Film(id="eight", boxes_FN4=np.full((8, 3, 4), [10, 10, 30, 30]))
    video = write_pictures(tmp_path / "eight.mp4", [film.image(frame) for frame in range(8)])
    shard = tmp_path / "shards" / "shard-000000.zarr.zip"
    write_films_shard(shard, [film.in_video(video)], frames=slice(None, None, 4))
    predict(trained, video, "--shards", shard.parent, "--overlay", tmp_path / "out.mp4")
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 8
