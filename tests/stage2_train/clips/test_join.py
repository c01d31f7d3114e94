"""Which segments can be used, and what is said of the others."""

from dataclasses import replace

import pytest

import tests.worlds.films as tiny
from orn.shared.errors import ConfigError, JoinError
from orn.shared.manifests.records import Segment, Video
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import UNKNOWN_SOURCE
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import content_digest
from orn.stage2_train.clips.join import join_split
from orn.stage2_train.frames.decoded import DecodedVideos
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import FailedClip, StoreSettings
from tests.stage2_train.frames.conftest import write_mp4
from tests.worlds.films import build_world


@pytest.fixture
def store_without(tiny_world, tmp_path):
    """A copy of the store that lacks some films, with failures recorded."""

    def build(*names: str, failed: tuple[str, ...] = ()) -> ClipStore:
        contents = read_contents(tiny_world.store_path)
        merge(
            tmp_path / "some.h5",
            settings=contents.settings,
            videos=[video for video in contents.videos if video.video_id not in names],
            failed=[FailedClip(id=name, reason="torn") for name in failed],
        )
        return ClipStore(tmp_path / "some.h5")

    return build


def test_segments_of_a_split_in_order(tiny_world) -> None:
    world = tiny_world
    joined = join_split(world.dataset, "validation", world.clips(), world.detections())
    assert [segment.video_id for segment in joined.segments] == [
        "film/2",
        "film/5",
        "film/8",
        "film/11",
    ]
    assert joined.skipped == ()
    empty = join_split(world.dataset, "test", world.clips(), world.detections())
    assert empty.segments == ()


def test_fewer_segments_are_among_more_and_keep_their_order(tiny_world) -> None:
    joined = join_split(tiny_world.dataset, "train", tiny_world.clips(), tiny_world.detections())
    everything = [segment.id for segment in joined.segments]
    assert joined.at_most(None) is joined
    drawn = {
        number: [segment.id for segment in joined.at_most(number).segments]
        for number in range(1, len(everything) + 1)
    }
    for number, ids in drawn.items():
        assert len(ids) == number
        assert ids == [name for name in everything if name in ids]
        assert set(drawn.get(number - 1, [])) < set(ids)
    with pytest.raises(ConfigError) as caught:
        joined.at_most(len(everything) + 1)
    assert str(caught.value) == (
        f"data.train_segments: wanted at most the {len(everything)} usable segments of the split "
        f"train, found {len(everything) + 1}"
    )


def test_absent_frames_are_an_error_unless_partial(tiny_world, store_without) -> None:
    world, store = tiny_world, store_without("film/2", "film/8")
    with pytest.raises(JoinError) as caught:
        join_split(world.dataset, "validation", store, world.detections())
    assert "tiny, validation: 2 of 4 segments cannot be used" in str(caught.value)
    assert "film/2-segment" in str(caught.value)
    assert "some.h5; run `orn clips`, or pass --partial" in str(caught.value)
    joined = join_split(world.dataset, "validation", store, world.detections(), partial=True)
    assert [row.id for row in joined.skipped] == ["film/2-segment", "film/8-segment"]
    assert len(joined.segments) == 2


def test_absent_detections_are_an_error(tiny_world, tmp_path) -> None:
    small = build_world(tmp_path, num_films=3)
    with pytest.raises(JoinError, match=r"film/5-segment.* not in the shards .*run `orn detect`"):
        join_split(tiny_world.dataset, "validation", tiny_world.clips(), small.detections())


def test_videos_that_failed_are_skipped(tiny_world, store_without, caplog) -> None:
    world = tiny_world
    store = store_without("film/2", failed=("film/2",))
    with caplog.at_level("WARNING"):
        joined = join_split(world.dataset, "validation", store, world.detections())
    assert [row.reason for row in joined.skipped] == [
        "its video could not be decoded for the clip store"
    ]
    assert "tiny, validation: 1 segments skipped: its video could not be decoded" in caplog.text
    assert "for the clip store (film/2-segment)" in caplog.text


def test_other_source_is_refused(tiny_world, tmp_path) -> None:
    film = replace(tiny_world.films["film/2"], digest="sha256:new")
    tiny.write_store(tmp_path / "new.h5", [film])
    dataset = replace(tiny_world.dataset, segments=tiny_world.dataset.segments[2:3])
    with pytest.raises(JoinError) as caught:
        join_split(dataset, "validation", ClipStore(tmp_path / "new.h5"), tiny_world.detections())
    assert "video film/2" in str(caught.value)
    assert "sha256:new" in str(caught.value)
    assert "sha256:same" in str(caught.value)


def test_masks_imported_without_their_video_are_refused(tiny_world, tmp_path) -> None:
    films = [replace(film, digest=UNKNOWN_SOURCE) for film in tiny_world.films.values()]
    tiny.write_films_shard(tmp_path / "shard-000000.zarr.zip", films, class_scores=False)
    with pytest.raises(JoinError, match=r"imported while .*run `orn import-masks` again with --fr"):
        join_split(tiny_world.dataset, "validation", tiny_world.clips(), DetectionFolder(tmp_path))


def test_segments_without_frames_or_label_are_skipped(tiny_world) -> None:
    world = tiny_world
    common = {"video_id": "film/2", "split": "train"}
    dataset = replace(
        world.dataset,
        segments=(
            Segment(id="short", start_seconds=0.11, stop_seconds=0.19, labels=(0,), **common),
            Segment(id="unlabelled", **common),
            Segment(id="good", start_seconds=0.1, stop_seconds=0.2, labels=(0,), **common),
        ),
    )
    joined = join_split(dataset, "train", world.clips(), world.detections())
    assert [segment.id for segment in joined.segments] == ["good"]
    assert [row.reason for row in joined.skipped] == [
        "its time range holds no frame of the video",
        "it has no label",
    ]
    multi = replace(dataset, task="multi-label", metric="map")
    joined = join_split(multi, "train", world.clips(), world.detections())
    assert [segment.id for segment in joined.segments] == ["unlabelled", "good"]


def test_nothing_left(tiny_world, caplog) -> None:
    world = tiny_world
    segment = Segment(id="late", video_id="film/2", split="train", start_seconds=99, labels=(0,))
    dataset = replace(world.dataset, segments=(segment,))
    late = join_split(dataset, "train", world.clips(), world.detections())
    assert late.segments == ()
    with pytest.raises(JoinError, match=r"tiny, train: wanted .* found none of 1; .* no frame of"):
        late.require_segments("tiny")
    assert "orn manifest check" not in caplog.text
    none = join_split(dataset, "test", world.clips(), world.detections())
    assert "tiny: no segment of the test part is there; `orn manifest check`" in caplog.text
    with pytest.raises(JoinError, match=r"tiny, test: wanted at least .* found none of 0$"):
        none.require_segments("tiny")


def test_times_that_the_store_lacks_are_an_error(tiny_world, tmp_path) -> None:
    world = tiny_world
    film = world.films["film/2"]
    ranges = TimeRanges.of([TimeRange(0.2, 0.5)])
    tiny.write_store(tmp_path / "some.h5", [film], ranges=ranges)
    common = {"video_id": "film/2", "split": "train", "labels": (0,)}
    inside = Segment(id="inside", start_seconds=0.2, stop_seconds=0.4, **common)
    beyond = Segment(id="beyond", start_seconds=0.3, stop_seconds=0.6, **common)
    dataset = replace(world.dataset, segments=(inside, beyond))
    clips = ClipStore(tmp_path / "some.h5")
    message = r"1 of 2 .* first is beyond: its time range is not in the clip store .*some\.h5"
    with pytest.raises(JoinError, match=message):
        join_split(dataset, "train", clips, world.detections())
    joined = join_split(dataset, "train", clips, world.detections(), partial=True)
    assert [segment.id for segment in joined.segments] == ["inside"]


def test_without_a_store_nothing_is_decoded(tiny_world, tmp_path) -> None:
    """Digests are compared at once; a segment that is a whole video is believed to have frames."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"not decoded")
    films = [replace(tiny_world.films["film/2"], digest=content_digest(path))]
    tiny.write_films_shard(tmp_path / "shard-000000.zarr.zip", films)
    source = DecodedVideos(
        [Video(id="film/2", path=path)], root=tmp_path, settings=StoreSettings(height=8, width=8)
    )
    dataset = replace(tiny_world.dataset, segments=tiny_world.dataset.segments[2:3])
    detections = DetectionFolder(tmp_path)
    assert len(join_split(dataset, "validation", source, detections).segments) == 1
    path.write_bytes(b"another film")
    source = DecodedVideos(
        [Video(id="film/2", path=path)], root=tmp_path, settings=StoreSettings(height=8, width=8)
    )
    with pytest.raises(JoinError, match=r"film/2: the videos under .* has sha256:.*changed"):
        join_split(dataset, "validation", source, detections)


def test_without_a_store_segments_without_frames_are_skipped_too(tiny_world, tmp_path) -> None:
    path = tmp_path / "film.mp4"
    write_mp4(path, num_frames=4)
    films = [replace(tiny_world.films["film/2"], digest=content_digest(path))]
    tiny.write_films_shard(tmp_path / "shard-000000.zarr.zip", films)
    source = DecodedVideos(
        [Video(id="film/2", path=path)], root=tmp_path, settings=StoreSettings(height=8, width=8)
    )
    common = {"video_id": "film/2", "split": "train", "labels": (0,)}
    segments = (
        Segment(id="between", start_seconds=0.11, stop_seconds=0.19, **common),
        Segment(id="good", start_seconds=0.1, stop_seconds=0.2, **common),
        Segment(id="beyond", start_seconds=0.4, **common),
    )
    dataset = replace(tiny_world.dataset, segments=segments)
    joined = join_split(dataset, "train", source, DetectionFolder(tmp_path))
    assert [segment.id for segment in joined.segments] == ["good"]
    assert [row.id for row in joined.skipped] == ["between", "beyond"]
    assert joined.skipped[0].reason == "its time range holds no frame of the video"
