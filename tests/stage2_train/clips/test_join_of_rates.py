"""Masks at 30 a second beside videos of every rate and length: joined, or named before training."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from math import ceil, floor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from orn.shared.errors import JoinError
from orn.shared.manifests.records import Dataset, DetectorChoice, Segment
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.time_join import nearest_frames
from orn.shared.video.read import frame_seconds
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.join import JoinedSplit, join_split
from orn.stage2_train.clips.views import ClipRequest
from tests.stage2_train.clips.test_rates import SETTINGS, clips_of

MASK_RATE = 30
LENGTHS = range(1, 201)
RATES = [
    Fraction(24000, 1001),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48000, 1001),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
    Fraction(90),
]


def nearest_whole(value: Fraction) -> int:
    """Halves upwards, as the filter `fps` counts."""
    return floor(value + Fraction(1, 2))


@dataclass
class Times:
    """Times of videos, in place of a clip store or of shards."""

    seconds: dict[str, np.ndarray]
    rate: float = MASK_RATE
    name: str = "the videos"
    path: str = "shards"
    failed: tuple[()] = ()

    def __contains__(self, video_id: str) -> bool:
        return video_id in self.seconds

    def frames(self, video_id: str) -> Any:
        seconds_F = self.seconds[video_id]
        return SimpleNamespace(
            source_digest="sha256:1",
            told_seconds=seconds_F,
            covers=lambda times: True,
            is_empty=lambda times: times.places(seconds_F)[0] == times.places(seconds_F)[1],
        )

    def entry(self, video_id: str) -> Any:
        num_frames = len(self.seconds[video_id])
        return SimpleNamespace(source_digest="sha256:1", frames=num_frames, rate=self.rate)

    def seconds_of(self, video_ids: Iterable[str]) -> dict[str, np.ndarray]:
        return {each: self.seconds[each] for each in video_ids if len(self.seconds[each])}


def dataset_of(segments: Iterable[Segment]) -> Dataset:
    return Dataset(
        name="films",
        task="single-label",
        form="clips",
        metric="top1",
        clip_frames=4,
        root=Path(),
        detector=DetectorChoice(),
        classes=("any",),
        videos=(),
        segments=tuple(segments),
        missing=(),
    )


def whole(video_id: str) -> Segment:
    return Segment(id=video_id, video_id=video_id, split="train", labels=(0,))


def joined_lengths(rate: Fraction, rounded: Callable[[Fraction], int]) -> JoinedSplit:
    """A clip of every length, with as many masks as its duration gives."""
    films, masks = {}, {}
    for length in LENGTHS:
        films[f"{length}"] = np.arange(length) / float(rate)
        masks[f"{length}"] = np.arange(rounded(length * MASK_RATE / rate)) / MASK_RATE
    clips: Any = Times(films)
    detections: Any = Times(masks)
    return join_split(
        dataset_of(whole(each) for each in films), "train", clips, detections, partial=True
    )


@pytest.mark.parametrize("rounded", [nearest_whole, floor, ceil])
@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}")
def test_every_length_is_joined(rate: Fraction, rounded: Callable[[Fraction], int]) -> None:
    """Masks over the whole of a clip are enough, however their number was made whole; only clips
    that are too short for a single mask are left out, and named."""
    joined = joined_lengths(rate, rounded)
    empty = [f"{each}" for each in LENGTHS if rounded(each * MASK_RATE / rate) == 0]
    assert [row.id for row in joined.skipped] == empty
    assert all("no frame of its video was looked at" in row.reason for row in joined.skipped)
    assert [each.id for each in joined.segments] == [
        f"{each}" for each in LENGTHS if f"{each}" not in empty
    ]


def filtered(num_frames: int, rate: Fraction) -> int:
    """Frames that FFmpeg's filter to 30 a second makes of a clip."""
    graph = av.filter.Graph()
    base = f"time_base={1 / rate}:frame_rate={rate}"
    source = graph.add("buffer", f"video_size=16x16:pix_fmt=gray:{base}")
    grid, sink = graph.add("fps", f"fps={MASK_RATE}"), graph.add("buffersink")
    source.link_to(grid)
    grid.link_to(sink)
    graph.configure()
    for place in range(num_frames):
        frame = av.VideoFrame(16, 16, "gray")
        if not hasattr(frame, "duration"):
            pytest.skip("this PyAV does not tell the filter where a clip ends")
        frame.pts, frame.duration, frame.time_base = place, 1, 1 / rate
        source.push(frame)
    source.push(None)
    for number in count():
        try:
            sink.pull()
        except av.EOFError:
            return number
    raise AssertionError


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}")
def test_every_frame_is_joined_to_the_grid_that_ffmpeg_makes(rate: Fraction) -> None:
    for num_frames in range(1, 31):
        num_masks = filtered(num_frames, rate)
        if num_masks == 0:
            assert (num_frames, rate) == (1, 90)
            continue
        video_F, masks_D = np.arange(num_frames) / float(rate), np.arange(num_masks) / MASK_RATE
        found = nearest_frames(masks_D, video_F, interval=1 / MASK_RATE, video_F=video_F)
        assert found.is_near_n.all(), num_frames


@pytest.mark.parametrize("rate", [r for r in RATES if r >= 30], ids=lambda r: f"{float(r):.2f}")
def test_a_mask_that_is_missing_at_the_end_is_named(rate: Fraction) -> None:
    joined = joined_lengths(rate, lambda length: floor(length) - 1)
    assert not joined.segments
    skipped = {row.id: row for row in joined.skipped}
    assert "frames of it have no detections near their time" in skipped["200"].reason
    assert "of 200 frames of video 200, that at " in skipped["200"].detail


def test_rows_behind_the_last_masks_are_the_last() -> None:
    video_F = np.arange(12) / 50
    masks_D = np.arange(7) / 30  # 7.2 are 0.24 s
    found = nearest_frames(masks_D, video_F, interval=1 / 30, video_F=video_F)
    assert found.rows_n.tolist() == [0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6]
    assert found.is_near_n.all()
    alone = nearest_frames(masks_D, video_F, interval=1 / 30)
    assert alone.is_near_n.tolist() == [True] * 11 + [False]
    before = nearest_frames(masks_D + 0.02, video_F, interval=1 / 30, video_F=video_F)
    assert before.is_near_n.tolist() == [False] + [True] * 11  # no reason for it at the beginning


def test_what_cannot_be_joined_is_told_before_a_clip_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same frames are refused when a split is joined and when a clip is made."""
    clips = clips_of(tmp_path, Fraction(50), num_masks=40)
    store, detections = clips._clips, DetectionFolder(tmp_path)
    late = Segment(id="late", video_id="film", split="train", start_seconds=1, labels=(0,))
    early = replace(late, id="early", start_seconds=0, stop_seconds=1.35)
    dataset = dataset_of([early, late])
    with pytest.raises(JoinError) as caught:
        join_split(dataset, "train", store, detections)
    detail = (
        "32 of 50 frames of video film, that at 1.9800 s is 0.6800 s away from the nearest "
        "detections, at 1.3000 s; wanted less than 0.0467 s"
    )
    assert str(caught.value) == (
        "films, train: 1 of 2 segments cannot be used, the first is late: frames of it have no "
        f"detections near their time ({detail}); the detections are of another version of the "
        "video, or do not reach so far; import them from whole files or run `orn detect`, or pass "
        "--partial to use what is there"
    )
    reason = f"frames of it have no detections near their time (late: {detail})"
    assert f"films, train: 1 segments cannot be used: {reason}" in caplog.text
    joined = join_split(dataset, "train", store, detections, partial=True)
    assert [each.id for each in joined.segments] == ["early"]
    assert f"films, train: 1 segments skipped: {reason}" in caplog.text
    samples = ClipDataset([early, late], store, detections, SETTINGS)
    assert samples[ClipRequest(0)].id == "early"
    with pytest.raises(JoinError, match=r"within 0.0467 s of"):
        samples[ClipRequest(1)]
    # By the ratio of their numbers no time is looked at.
    assert len(join_split(dataset, "train", store, detections, frame_join="ratio").segments) == 2


@pytest.mark.parametrize("num_frames", [97, 98, 99, 100])
def test_clips_of_50_frames_a_second_are_made(tmp_path: Path, num_frames: int) -> None:
    clips = clips_of(tmp_path, Fraction(50), num_masks=nearest_whole(Fraction(num_frames * 3, 5)))
    segment = replace(clips.segments[0], stop_seconds=num_frames / 50)
    clips.segments = (segment,)
    video_F = clips._clips.frames("film").seconds
    last = num_frames - 1
    rows = DetectionFolder(tmp_path).video("film").nearest_rows(video_F[[last]], video_F=video_F)
    assert rows[0] == DetectionFolder(tmp_path).video("film").num_frames - 1
    for epoch in range(8):
        assert clips[ClipRequest(0, epoch=epoch)].id == "film"


def test_videos_in_several_shards_and_many_in_one(tiny_world) -> None:
    detections = tiny_world.detections()
    found = detections.seconds_of(detections.video_ids)
    assert set(found) == set(detections.video_ids)
    for video_id, seconds_D in found.items():
        np.testing.assert_array_equal(seconds_D, detections.video(video_id).seconds)
    assert detections.seconds_of(["strange"]) == {}


@pytest.mark.real_data
@pytest.mark.parametrize("clip", ["o/5/E/v_vAqaXZuAO5E/075", "o/p/Y/v_7Tsrimk7opY/052"])
def test_published_clips_as_before(sample_data: Path, clip: str) -> None:
    """Every frame takes what it took when half an interval was all that was allowed."""
    path = sample_data / "vlog" / "videos" / clip / "clip.mp4"
    video_F = np.array(frame_seconds(path))
    masks_D = np.arange(741 if "075" in clip else 95) / MASK_RATE
    before = nearest_frames(masks_D, video_F, interval=1 / MASK_RATE)
    now = nearest_frames(masks_D, video_F, interval=1 / MASK_RATE, video_F=video_F)
    assert before.is_near_n.all()
    np.testing.assert_array_equal(now.rows_n, before.rows_n)
