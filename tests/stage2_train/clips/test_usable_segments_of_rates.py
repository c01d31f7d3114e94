"""Detections at one rate beside frames at another: joined, or named before training."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.data_manifests.records import Films, Video
from orn.shared.errors import JoinError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.time_join import nearest_frames
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import indices_at_rate
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.usable_segments import check_detections, join_split
from orn.stage2_train.clips.windows import observed_parts
from tests.stage2_train.clips.conftest import whole_video
from tests.stage2_train.clips.test_rates import clips_of, store_film
from tests.worlds.shards import blocks, write_shard
from tests.worlds.videos import write_gray


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=40),
    rate=st.sampled_from([0.5, 1.0, 3.0, 7.3, 12.5, 30.0]),
)
def test_every_frame_has_a_picked_one_near(gaps, rate) -> None:
    """Within the detections as far as an interval of the rate, however uneven the times are."""
    seconds_F = np.cumsum([0, *gaps]) / 100
    seconds_D = seconds_F[indices_at_rate(seconds_F, rate)]
    rows = nearest_frames(seconds_D, seconds_F, interval=9.0, rate=rate, video_F=seconds_F)
    assert rows.is_near_n[seconds_F <= seconds_D[-1]].all()
    assert rows.is_near_n[rows.gaps_n < 1 / rate].all()


GAPPED = {
    "start": [0, 3, *range(4, 50)],
    "middle": [*range(20), 25, 26, 37, *range(38, 63)],
    "end": [*range(44), 50, 51, 72, 99],
}
"""Times of 48 frames in thirtieths of a second."""


@pytest.mark.parametrize("first", [0, 4])
@pytest.mark.parametrize("ticks", GAPPED.values(), ids=GAPPED)
def test_gaps_in_time_stamps_lose_no_objects(ticks: list[int], first: int) -> None:
    """Objects on every eighth frame; where one of these frames is missing, others are refused."""
    video_F, index_D = np.array(ticks) / 30, np.arange(first, 48, 8)

    def near(kept_d: np.ndarray) -> np.ndarray:
        seconds_d = video_F[kept_d]
        rows = nearest_frames(seconds_d, video_F, interval=8 / 30, video_F=video_F, index_D=kept_d)
        return rows.is_near_n

    assert near(index_D).all()
    for lost in range(1, 5):
        missing_F = ~near(np.delete(index_D, lost))
        assert missing_F[index_D[lost]]
        assert not np.delete(missing_F, range(index_D[lost] - 7, index_D[lost] + 8)).any()
    assert not near(index_D[2:])[: first + 4].any()
    assert not near(index_D[:-2])[-4:].all()


def test_gaps_in_time_stamps_lose_no_segment(tiny_world, tmp_path) -> None:
    seconds_F = np.array(GAPPED["middle"]) / 30
    store_film(tmp_path / "clips", seconds_F.tolist())
    film = {"film": [(row, seconds_F[row], blocks(height=9, width=9)) for row in range(0, 48, 8)]}
    write_shard(tmp_path / "shard-000000.zarr.zip", film, size=(9, 9), source_digest="sha256:1")
    dataset = replace(tiny_world.dataset, segments=(whole_video("film"),))
    detections = DetectionFolder(tmp_path)
    joined = join_split(dataset, "train", ClipStore(tmp_path / "clips"), detections)
    assert joined.segments == dataset.segments
    rows_F = detections.video("film").nearest_rows(seconds_F, video_F=seconds_F)
    assert {*rows_F.tolist()} == {*range(6)}


def test_rows_behind_the_last_masks_are_the_last() -> None:
    video_F = np.arange(12) / 50
    masks_D = np.arange(7) / 30  # 7.2 are 0.24 s
    rows = nearest_frames(masks_D, video_F, interval=1 / 30, video_F=video_F)
    assert rows.rows_n.tolist() == [0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6]
    assert rows.is_near_n.all()
    alone = nearest_frames(masks_D, video_F, interval=1 / 30)
    assert alone.is_near_n.tolist() == [True] * 11 + [False]
    before = nearest_frames(masks_D + 0.02, video_F, interval=1 / 30, video_F=video_F)
    assert before.is_near_n.tolist() == [False] + [True] * 11  # no reason for it at the beginning


def test_what_cannot_be_joined_is_told_before_a_clip_is_made(tiny_world, tmp_path, caplog) -> None:
    """The same frames are refused when a split is joined and when a clip is made."""
    made = clips_of(tmp_path, Fraction(50), num_masks=40)
    data = (ClipStore(tmp_path / "clips"), DetectionFolder(tmp_path))
    late = replace(whole_video("film"), id="late", start_seconds=1)
    early = replace(late, id="early", start_seconds=0, stop_seconds=1.35)
    dataset = replace(tiny_world.dataset, segments=(early, late))
    message = "32 of 50 frames of video film, worst at 1.9800 s"
    with pytest.raises(JoinError, match=rf"1 of 2 .* late: .*{message}.*`orn detect`.*--partial"):
        join_split(dataset, "train", *data)
    joined = join_split(dataset, "train", *data, partial=True)
    assert [segment.id for segment in joined.segments] == ["early"]
    assert caplog.text.count(message) == 2
    made.segments = dataset.segments
    assert made[ClipRequest(0)].id == "early"
    with pytest.raises(JoinError, match=r"'film'.* within 0.0467 s of"):
        made[ClipRequest(1)]
    # By the ratio of their numbers no time is looked at.
    assert len(join_split(dataset, "train", *data, by_time=False).segments) == 2


def test_times_of_long_videos_without_detections_have_no_objects(
    tiny_world, tmp_path, caplog
) -> None:
    """Their windows are kept, as in prediction, and counted; not those of a video that mostly lacks
    detections, which are those of another file."""
    made = clips_of(tmp_path, Fraction(50), num_masks=40)
    data = (ClipStore(tmp_path / "clips"), DetectionFolder(tmp_path))
    late = replace(whole_video("film"), id="late", start_seconds=1)
    films = Films(background="none", rate=50.0, split_of={"film": "train"})
    dataset = replace(tiny_world.dataset, segments=(late,), films=films)
    assert join_split(dataset, "train", *data).segments == (late,)
    assert "1 segment without objects there" in caplog.text and "32 of 50" in caplog.text
    write_gray(tmp_path / "film.mp4", 20)
    film = Video(id="film", path=tmp_path / "film.mp4")
    dataset = replace(dataset, videos=(film,))
    whole = observed_parts(dataset)
    check_detections(whole, ["train"], data[1], clip_frames=2)
    clips_of(tmp_path / "few", Fraction(50), num_masks=20)
    few = DetectionFolder(tmp_path / "few")
    with pytest.raises(JoinError, match=r"1 of 1 .* video film, worst at 1.9000 s"):
        check_detections(whole, ["train"], few, clip_frames=2)
    early = {"film": (TimeRange(0, 1.2),)}
    watched = replace(dataset, films=replace(films, observed=early))
    check_detections(observed_parts(watched), ["train"], data[1], clip_frames=2)
    made.segments, made.settings = (late,), replace(made.settings, may_lack_objects=True)
    sample = made[ClipRequest(0)]
    assert (~sample.slots.valid.any(axis=1)).tolist() == (sample.seconds > 1.35).tolist()
    assert sample.slots.valid.any()
