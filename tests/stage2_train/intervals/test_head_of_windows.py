"""The head over time beside its inputs."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clips.windows import window_at
from orn.stage2_train.intervals.film_features import FilmInputs
from orn.stage2_train.intervals.film_head import FilmHeads
from orn.stage2_train.intervals.stored_film_head import FittedFilmHead
from tests.worlds.shards import CUP, blocks, write_shard

INPUTS = FilmInputs(
    followed=(CUP,), score_threshold=0.5, rate=10.0, map_channels=2, reads_motion=False
)


@dataclass(frozen=True)
class Frames:
    """Films with a map of one cell at each time, which differs between films."""

    seconds: np.ndarray
    first: float = 0.0

    def frames(self, video_id: str) -> "Frames":
        return Frames(self.seconds, {"one": 0.0, "two": 5.0}[video_id])

    def maps(self, frames_n: np.ndarray) -> np.ndarray:
        values_n = self.first + frames_n / 4
        return np.stack([values_n, -values_n], axis=1)[:, :, None, None].astype(np.float16)


def test_windows_of_several_films_in_any_order_have_their_own_logits(tmp_path) -> None:
    seconds_T = np.arange(12) / 10
    found = [
        (row, own, blocks((CUP, 0.9, row, 0, row + 5, 5), height=10, width=20))
        for row, own in enumerate(seconds_T.tolist())
    ]
    write_shard(tmp_path / "shard-000000.zarr.zip", {"one": found, "two": found}, size=(10, 20))
    detections, frames = DetectionFolder(tmp_path), Frames(seconds_T)
    torch.manual_seed(0)
    heads = FilmHeads(INPUTS.num_features, 3, multi_label=False).eval()
    asked = [("two", 3), ("one", 0), ("one", 7), ("two", 11), ("one", 2)]
    windows = [window_at(video, row / 10, 0.4) for video, row in asked]
    got_NA = FittedFilmHead(heads=heads, inputs=INPUTS).of_windows(windows, detections, frames)
    of_film = {
        video: heads.logits(INPUTS.of_film(frames.frames(video), detections.video(video)))
        for video in ("one", "two")
    }
    expected_NA = np.stack([of_film[video][row] for video, row in asked])
    assert got_NA == pytest.approx(expected_NA, abs=1e-6)
    assert len(np.unique(got_NA[:, 0])) == len(asked)
