"""Clips: frames and objects that belong together, and draws that depend on nothing else."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.worlds.films as tiny
from orn.shared.errors import ConfigError, JoinError, ShardFormatError
from orn.shared.manifests.records import Segment
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.video_detections import VideoDetections
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import Frame
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.dataset import ClipDataset, ClipSettings
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.clips.views import ClipRequest, View
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.parts import write_frames
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from tests.worlds.shards import video_entry

MOVED_CELLS = 0.15  # what antialiasing and JPEG move over a border; a pixel is 0.6 or 0.9 cells

SETTINGS = ClipSettings(
    num_frames=4,
    crop=(32, 48),
    slots=SlotSettings(max_objects=3, background=True, mask_size=28, feature_cells=(2, 3)),
    score_threshold=0.1,
    num_activities=2,
    multi_label=False,
    seed=3,
)


@pytest.fixture
def make_dataset(tiny_world):
    """Clips of all segments of the tiny world."""

    def build(settings: ClipSettings = SETTINGS, **parts) -> ClipDataset:
        segments = parts.get("segments", tiny_world.dataset.segments)
        detections = parts.get("detections", tiny_world.detections())
        options = {name: parts[name] for name in ("cache_bytes",) if name in parts}
        return ClipDataset(segments, tiny_world.clips(), detections, settings, **options)

    return build


def equal(one, other) -> bool:
    """Whether two clips are the same."""
    fields = ("masks", "coverage", "boxes", "class_scores", "labels", "valid")
    return (
        one.id == other.id
        and np.array_equal(one.frames, other.frames)
        and all(np.array_equal(getattr(one.slots, f), getattr(other.slots, f)) for f in fields)
    )


def test_shapes(make_dataset) -> None:
    sample = make_dataset()[ClipRequest(1, epoch=0)]
    assert sample.id == "film/1-segment"
    assert sample.label == 1
    assert sample.frames.shape == (4, 32, 48, 3)
    assert sample.slots.masks.shape[::2] == (4, 28)
    assert sample.slots.coverage.shape[2:] == (2, 3)


def test_training_clips_depend_on_seed_epoch_and_segment_alone(make_dataset) -> None:
    dataset = make_dataset()
    first = dataset[ClipRequest(1, epoch=0)]
    dataset[ClipRequest(0, epoch=0)]
    assert equal(dataset[ClipRequest(1, epoch=0)], first)
    assert equal(make_dataset()[ClipRequest(1, epoch=0)], first)
    assert not equal(dataset[ClipRequest(1, epoch=1)], first)
    other_seed = make_dataset(replace(SETTINGS, seed=4))
    assert not equal(other_seed[ClipRequest(1, epoch=0)], first)


def test_test_clips_do_not_depend_on_the_seed(make_dataset) -> None:
    one, other = make_dataset(), make_dataset(replace(SETTINGS, seed=4))
    for clip in range(3):
        request = ClipRequest(1, view=View(clip))
        assert equal(one[request], other[request])
    assert not equal(one[ClipRequest(1, view=View(0))], one[ClipRequest(1, view=View(1))])


def test_first_test_clip_is_centred(make_dataset, tiny_world) -> None:
    sample = make_dataset()[ClipRequest(1)]
    stored = tiny_world.clips().frames("film/1").read(np.array([0, 2, 4, 6]))
    np.testing.assert_array_equal(sample.frames, stored[:, 8:40, 12:60])


def test_a_number_asks_for_the_centred_clip(make_dataset) -> None:
    dataset = make_dataset()
    assert len(dataset) == 12
    for number in (0, 11, np.int64(5)):
        assert equal(dataset[number], dataset[ClipRequest(int(number))])
        assert equal(dataset[number - 12], dataset[number])
    assert [clip.id for clip in dataset] == [segment.id for segment in dataset.segments]
    for number in (12, -13):
        with pytest.raises(IndexError, match=rf"-12 to 11, got {number}"):
            dataset[number]
    with pytest.raises(TypeError, match="integer"):
        dataset["film/0"]


def test_frames_of_a_segment_lie_in_its_time_range(make_dataset, tiny_world) -> None:
    segment = Segment(
        id="part",
        video_id="film/1",
        split="train",
        labels=(1,),
        start_seconds=0.3,
        stop_seconds=0.5,
    )
    sample = make_dataset(segments=[segment])[ClipRequest(0)]
    stored = tiny_world.clips().frames("film/1").read(np.array([3, 3, 4, 4]))
    np.testing.assert_array_equal(sample.frames, stored[:, 8:40, 12:60])


@pytest.mark.parametrize(
    "stored", [tiny.STORED, StoreSettings(short_side=50, jpeg_quality=95)], ids=["squash", "short"]
)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_masks_stay_on_their_objects_under_crops(stored, seed, tmp_path_factory) -> None:
    """Where the crop shows white, there the mask is, in every crop."""
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("white")
    corners = rng.integers((0, 0), (60, 40), size=(4, 1, 2))
    sizes = rng.integers(10, 30, size=(4, 1, 2))
    boxes_FN4 = np.concatenate([corners, np.minimum(corners + sizes, (80, 60))], axis=2)
    film = tiny.Film(id="white", boxes_FN4=boxes_FN4, colours=np.array([[250] * 3]))
    tiny.write_store(folder / "white.h5", [film], stored)
    tiny.write_films_shard(folder / "shard-000000.zarr.zip", [film])
    segment = Segment(id="white", video_id="white", split="train", labels=(0,))
    dataset = ClipDataset(
        [segment], ClipStore(folder / "white.h5"), DetectionFolder(folder), SETTINGS
    )
    for epoch in range(8):
        sample = dataset[ClipRequest(0, epoch=epoch)]
        for time in range(4):
            slot = np.flatnonzero(sample.slots.valid[time] & (sample.slots.labels[time] == 0))
            white = (sample.frames[time].mean(axis=2) - 90) / (250 - 90)
            shown = _cells(white, 28)
            mask = sample.slots.masks[time, slot[0]] if len(slot) else np.zeros((28, 28))
            for axis in (0, 1):
                difference = shown.mean(axis=axis) - mask.mean(axis=axis)
                assert np.abs(np.cumsum(difference)).max() < MOVED_CELLS


def _cells(image: np.ndarray, size: int) -> np.ndarray:
    """Mean of an image in each of size x size cells, by repeating pixels to a common multiple."""
    height, width = image.shape
    fine = image.repeat(size, axis=0).repeat(size, axis=1)
    return fine.reshape(size, height, size, width).mean(axis=(1, 3))


def test_one_batch_of_videos_of_several_shapes(tmp_path) -> None:
    stored = StoreSettings(short_side=60)
    videos = []
    with ShardWriter(tmp_path / "shard-000000.zarr.zip", tiny.DETECTOR) as writer:
        for name, (height, width) in (("wide", (60, 100)), ("tall", (132, 66))):
            frame = Frame(index=0, seconds=0.0, image=np.full((height, width, 3), 50, np.uint8))
            part = tmp_path / f"{name}.h5"
            write_frames(part, [frame], video_id=name, source_digest="sha256:0", settings=stored)
            videos += read_contents(part).videos
            writer.begin_video(video_entry(name, height=height, width=width, rate=1.0))
            mask = np.zeros((height, width), bool)
            mask[: height // 2] = True  # the upper half
            scores = np.zeros((1, 80), np.float16)
            found = FrameDetections(
                height=height,
                width=width,
                boxes=np.array([[0, 0, width, height // 2]], np.float32),
                scores=np.array([0.9], np.float32),
                labels=np.array([0], np.uint8),
                class_scores=scores,
                masks=(rle.encode(mask),),
            )
            writer.add(0, 0.0, found)
            writer.end_video()
    merge(tmp_path / "both.h5", settings=stored, videos=videos)
    segments = [
        Segment(id=name, video_id=name, split="train", labels=(0,)) for name in ("wide", "tall")
    ]
    clips = ClipStore(tmp_path / "both.h5")
    dataset = ClipDataset(segments, clips, DetectionFolder(tmp_path), SETTINGS)
    batch = collate([dataset[ClipRequest(0)], dataset[ClipRequest(1)]])
    assert batch.frames_BTCHW.shape == (2, 4, 3, 32, 48)
    upper, lower = batch.masks_BTKhw[:, 0, 0, :14], batch.masks_BTKhw[:, 0, 0, 14:]
    assert (upper > 0.99).all()
    assert (lower < 0.01).all()
    with pytest.raises(ConfigError, match="stored frames of 120x60, found 32x64"):
        ClipDataset(segments, clips, DetectionFolder(tmp_path), replace(SETTINGS, crop=(32, 64)))


def test_boxes_enclose_masks(make_dataset) -> None:
    for number in range(4):
        sample = make_dataset()[ClipRequest(number, epoch=number)]
        times, places = np.nonzero(sample.slots.valid & (sample.slots.labels < 80))
        for time, slot in zip(times, places, strict=True):
            mask = sample.slots.masks[time, slot] > 1e-3
            x1, y1, x2, y2 = sample.slots.boxes[time, slot] * np.array([28 / 48, 28 / 32] * 2)
            covered_rows, covered_columns = np.nonzero(mask)
            assert np.floor(y1 + 1e-4) == covered_rows.min()
            assert np.ceil(y2 - 1e-4) == covered_rows.max() + 1
            assert np.floor(x1 + 1e-4) == covered_columns.min()
            assert np.ceil(x2 - 1e-4) == covered_columns.max() + 1


def test_multi_label(make_dataset) -> None:
    segments = [
        Segment(id="both", video_id="film/1", split="train", labels=(0, 2)),
        Segment(id="none", video_id="film/1", split="train", labels=()),
    ]
    settings = replace(SETTINGS, multi_label=True, num_activities=3)
    dataset = make_dataset(settings, segments=segments)
    assert dataset[ClipRequest(0)].label.tolist() == [1, 0, 1]
    assert dataset[ClipRequest(1)].label.tolist() == [0, 0, 0]


def test_times_without_detections_are_refused(make_dataset, tiny_world, tmp_path) -> None:
    film = tiny_world.films["film/1"]
    short = replace(film, boxes_FN4=film.boxes_FN4[:4])
    tiny.write_films_shard(tmp_path / "shard-000000.zarr.zip", [short])
    dataset = make_dataset(
        segments=tiny_world.dataset.segments[1:2], detections=DetectionFolder(tmp_path)
    )
    with pytest.raises(JoinError, match=r"film/1.*0\.4000 s"):
        dataset[ClipRequest(0)]


def test_detections_on_another_frame_rate_are_joined_by_time(make_dataset, tiny_world, tmp_path):
    film = tiny_world.films["film/1"]
    with ShardWriter(tmp_path / "shard-000000.zarr.zip", tiny.DETECTOR) as writer:
        writer.begin_video(
            video_entry(film.id, height=60, width=80, rate=20.0, source_digest=film.digest)
        )
        for frame in range(16):
            writer.add(frame, frame / 20 + 0.01, film.detections(frame // 2))
        writer.end_video()
    segments = tiny_world.dataset.segments[1:2]
    doubled = make_dataset(segments=segments, detections=DetectionFolder(tmp_path))
    plain = make_dataset(segments=segments)
    for epoch in range(4):
        request = ClipRequest(0, epoch=epoch)
        assert equal(doubled[request], plain[request])


def test_crop_larger_than_the_store(make_dataset) -> None:
    with pytest.raises(ConfigError, match="stored frames of 48x72, found 64x64"):
        make_dataset(replace(SETTINGS, crop=(64, 64)))


def test_pickled_without_what_was_read(make_dataset) -> None:
    dataset = make_dataset()
    request = ClipRequest(1, epoch=0)
    expected = dataset[request]
    data = pickle.dumps(dataset)
    assert len(data) < 50_000
    assert equal(pickle.loads(data)[request], expected)


def test_cache_is_bounded(make_dataset, monkeypatch) -> None:
    """A small cache changes no clip, and forgets what does not fit, in a copy too."""
    read = []
    whole = VideoDetections.frames_at
    monkeypatch.setattr(
        VideoDetections, "frames_at", lambda self, rows: read.extend(rows) or whole(self, rows)
    )
    roomy, tight = make_dataset(), pickle.loads(pickle.dumps(make_dataset(cache_bytes=3000)))
    request = ClipRequest(0, epoch=1)
    assert equal(roomy[request], tight[request])
    for dataset, times in ((roomy, 0), (tight, 1)):
        dataset[ClipRequest(1, epoch=1)]
        read.clear()
        assert equal(dataset[request], roomy[request])
        assert bool(read) == bool(times)
    none = make_dataset(cache_bytes=0)
    assert equal(none[request], roomy[request])


def test_unsure_labels_are_negative_or_ignored_in_training_alone(make_dataset) -> None:
    segment = Segment(id="a", video_id="film/1", split="train", labels=(1,), unsure=(0,))
    multi = replace(SETTINGS, multi_label=True)
    ignoring = replace(multi, unsure_labels="ignored")
    training, evaluation = ClipRequest(0, epoch=0), ClipRequest(0)
    labels = {
        (name, request.epoch): make_dataset(settings, segments=[segment])[request].label.tolist()
        for name, settings in (("negative", multi), ("ignored", ignoring))
        for request in (training, evaluation)
    }
    assert labels == {
        ("negative", 0): [0, 1],
        ("negative", None): [0, 1],
        ("ignored", 0): [-1, 1],
        ("ignored", None): [0, 1],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.array([np.nan], np.float32)}, "scores of detection 0: wanted 0 to 1"),
        ({"class_scores": np.ones((1, 80), np.float16)}, "class_scores of detection 0: .*80.0000"),
        ({"boxes": np.array([[0, 0, 1e9, 1]], np.float32)}, "boxes of detection 0: wanted boxes"),
        ({"masks": (b"00",)}, "masks of detection 0: wanted 60 x 80 = 4800 pixels, found 0"),
        (
            {"masks": (rle.encode(np.ones((9, 9), np.bool_)),)},
            "masks of detection 0: .*found 81",
        ),
        ({"masks": (b"\xff",)}, "masks of detection 0: wanted a mask, found RLE"),
    ],
)
def test_detections_that_break_a_rule_are_named(
    tmp_path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], message: str
) -> None:
    film = tiny.Film(
        id="wrong", boxes_FN4=np.array([[[0, 0, 9, 9]]] * 4), colours=np.array([[250] * 3])
    )
    tiny.write_store(tmp_path / "clips.h5", [film])
    whole = tiny.Film.detections

    def detections(self: tiny.Film, frame: int, **options: bool) -> FrameDetections:
        found = whole(self, frame, **options)
        return replace(found, **changes) if frame == 2 else found

    monkeypatch.setattr(tiny.Film, "detections", detections)
    tiny.write_films_shard(tmp_path / "shard-000000.zarr.zip", [film])
    segment = Segment(id="wrong", video_id="wrong", split="train", labels=(0,))
    clips = ClipStore(tmp_path / "clips.h5")
    dataset = ClipDataset([segment], clips, DetectionFolder(tmp_path), SETTINGS)
    where = r"shard-000000\.zarr\.zip: video 'wrong' frame 2: "
    with pytest.raises(ShardFormatError, match=where + message):
        dataset[ClipRequest(0)]
