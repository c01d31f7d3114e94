"""Which segments can be used, and what is said of the others."""

from dataclasses import replace

import pytest

import tests.worlds.films as tiny
from orn.data_manifests.records import Segment
from orn.shared.errors import JoinError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import UNKNOWN_SOURCE
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.store_format import FailedClip
from orn.stage2_train.clips.usable_segments import join_split


@pytest.fixture
def store_without(tiny_world, tmp_path):
    """A copy of the store that lacks some films, with failures recorded."""

    def build(*names: str, failed: tuple[str, ...] = ()) -> ClipStore:
        films = [film for name, film in tiny_world.films.items() if name not in names]
        rows = tuple(FailedClip(id=name, reason="torn") for name in failed)
        tiny.write_store(tmp_path / "some", films, failed=rows)
        return ClipStore(tmp_path / "some")

    return build


def test_segments_of_a_split_in_order_without_those_whose_frames_are_absent(
    tiny_world, store_without, caplog
) -> None:
    dataset, detections = tiny_world.dataset, tiny_world.detections()
    joined = join_split(dataset, "validation", tiny_world.clips(), detections)
    assert [segment.video_id for segment in joined.segments] == [
        f"film/{number}" for number in (2, 5, 8, 11)
    ]
    assert joined.skipped == ()
    store = store_without("film/2", "film/8")
    message = "tiny, validation: 2 of 4 .*film/2-segment.*some; run `orn clips`, or .*--partial"
    with pytest.raises(JoinError, match=message):
        join_split(dataset, "validation", store, detections)
    joined = join_split(dataset, "validation", store, detections, partial=True)
    assert [row.id for row in joined.skipped] == ["film/2-segment", "film/8-segment"]
    assert [segment.video_id for segment in joined.segments] == ["film/5", "film/11"]
    failed = store_without("film/2", failed=("film/2",))
    joined = join_split(dataset, "validation", failed, detections)
    assert [(row.id, "decoded" in row.reason) for row in joined.skipped] == [
        ("film/2-segment", True)
    ]
    assert "1 segment skipped" in caplog.text


@pytest.mark.parametrize(
    ("digest", "message"),
    [
        (None, r"film/2-segment.*run `orn detect`"),  # absent
        ("sha256:new", r"film/2: .*sha256:same.*sha256:new"),
        (UNKNOWN_SOURCE, r"imported with.*`orn import-objects`.*--fr"),
    ],
)
def test_detections_that_are_absent_or_of_another_file_are_an_error(
    tiny_world, tmp_path, digest, message
) -> None:
    films = [tiny_world.films["film/1"]]
    if digest is not None:
        films = [replace(film, digest=digest) for film in tiny_world.films.values()]
    tiny.write_films_shard(tmp_path / "shard-000000.zarr.zip", films)
    with pytest.raises(JoinError, match=message):
        join_split(tiny_world.dataset, "validation", tiny_world.clips(), DetectionFolder(tmp_path))


def part_of_film(name: str, start: float | None, stop: float | None = None, label=(0,)) -> Segment:
    """A segment of film/2 for training."""
    times = {"start_seconds": start, "stop_seconds": stop}
    return Segment(id=name, video_id="film/2", split="train", labels=label, **times)


def test_segments_without_frames_or_label_are_skipped(tiny_world) -> None:
    data = (tiny_world.clips(), tiny_world.detections())
    segments = (part_of_film("short", 0.11, 0.19), part_of_film("unlabeled", None, label=()))
    dataset = replace(tiny_world.dataset, segments=(*segments, part_of_film("good", 0.1, 0.2)))
    joined = join_split(dataset, "train", *data)
    assert [segment.id for segment in joined.segments] == ["good"]
    reasons = [row.reason for row in joined.skipped]
    assert ("no frame" in reasons[0], "no label" in reasons[1]) == (True, True)
    multi = replace(dataset, task="multi-label", metric="map")
    joined = join_split(multi, "train", *data)
    assert [segment.id for segment in joined.segments] == ["unlabeled", "good"]


def test_times_that_the_store_lacks_are_an_error(tiny_world, tmp_path) -> None:
    film, ranges = tiny_world.films["film/2"], TimeRanges.of([TimeRange(0.2, 0.5)])
    tiny.write_store(tmp_path / "some", [film], ranges=ranges)
    segments = (part_of_film("inside", 0.2, 0.4), part_of_film("beyond", 0.3, 0.6))
    dataset = replace(tiny_world.dataset, segments=segments)
    data = (ClipStore(tmp_path / "some"), tiny_world.detections())
    with pytest.raises(JoinError, match=r"1 of 2 .* beyond: .*some"):
        join_split(dataset, "train", *data)
    joined = join_split(dataset, "train", *data, partial=True)
    assert [segment.id for segment in joined.segments] == ["inside"]
