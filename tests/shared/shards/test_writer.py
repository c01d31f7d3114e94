"""The writer: what was added comes back, nothing half done becomes visible, misuse is refused."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from zarr.storage import ZipStore

from orn.inspection.summary import summarize
from orn.inspection.verify import verify_shard
from orn.shared.errors import PipelineError, ShapeError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ClassRules, ScoreKind
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.shards.writer import ShardWriter
from tests.worlds.shards import drawn_detections, video_entry

ENTRY = DetectorEntry(
    config_name="c", config_digest="d", checkpoint_digest="e", class_names=COCO_CLASSES
)


def begin(writer: ShardWriter, video_id: str = "a", **changes: Any) -> None:
    writer.begin_video(video_entry(video_id, **{"height": 12, "width": 17, "rate": 10.0} | changes))


def add(writer: ShardWriter, video_id: str, *frames: FrameDetections, **changes: Any) -> None:
    """A whole video, three numbers of frames and 1/30 s from frame to frame."""
    begin(writer, video_id, **changes)
    for place, frame in enumerate(frames):
        writer.add(3 * place, place / 30, frame)
    writer.end_video()


def assert_same(detections: FrameDetections, expected: FrameDetections) -> None:
    assert (detections.height, detections.width) == (expected.height, expected.width)
    for name in ("boxes", "scores", "labels", "class_scores"):
        np.testing.assert_array_equal(
            getattr(detections, name), getattr(expected, name), strict=True
        )
    assert detections.masks == expected.masks
    np.testing.assert_array_equal(known_tracks(detections), known_tracks(expected))


def known_tracks(detections: FrameDetections) -> NDArray[np.int64]:
    return np.full(len(detections), -1) if detections.tracks is None else detections.tracks


@st.composite
def frames(draw: st.DrawFn, *, height: int, width: int) -> FrameDetections:
    num = draw(st.integers(0, 4))
    shares = st.sampled_from([0, 2**-7, 2**-12])
    detections = FrameDetections.from_masks(
        draw(hnp.arrays(np.bool_, (num, height, width), fill=st.just(False))),
        labels=draw(hnp.arrays(np.uint16, num, elements=st.integers(0, 79))),
        scores=draw(hnp.arrays(np.float32, num, elements=st.floats(0, 1, width=32))),
        class_scores=draw(hnp.arrays(np.float16, (num, 80), elements=shares)),
    )
    tracks = hnp.arrays(np.int64, num, elements=st.integers(-1, 2**63 - 1))
    return replace(detections, tracks=draw(st.none() | tracks))


@st.composite
def videos(draw: st.DrawFn) -> tuple[int, int, list[FrameDetections]]:
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    return height, width, draw(st.lists(frames(height=height, width=width), max_size=4))


@settings(max_examples=15)
@given(st.lists(videos(), max_size=3))
def test_everything_comes_back(content: list[tuple[int, int, list[FrameDetections]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard-000000.zarr.zip"
        with ShardWriter(path, ENTRY) as writer:
            for number, (height, width, added) in enumerate(content):
                add(writer, f"v{number}", *added, height=height, width=width)
        shard = Shard(path)
        expected = [frame for _, _, added in content for frame in added]
        assert shard.num_frames == len(expected)
        assert shard.num_detections == sum(map(len, expected))
        assert [video.frames for video in shard.videos] == [len(added) for _, _, added in content]
        for row, frame in enumerate(expected):
            assert_same(shard.frame(row), frame)
        assert shard.frame_index().tolist() == [3 * i for _, _, v in content for i in range(len(v))]
        assert verify_shard(path) == []
        with ZipStore(path, mode="r") as store:
            group = zarr.open_group(store, mode="r")
            tracks = [track for frame in expected for track in known_tracks(frame).tolist()]
            assert ("tracks" in group) == shard.has_tracks == any(track >= 0 for track in tracks)
            assert not shard.has_tracks or np.asarray(group["tracks"]).tolist() == tracks
            for name in shard.arrays:
                rows = shard.arrays.rows(name, 0, shard.arrays.num_rows(name))
                np.testing.assert_array_equal(np.asarray(group[name]), rows, strict=True)


@pytest.mark.parametrize("score_kind", get_args(ScoreKind))
def test_classes_and_scores_of_any_detector(tmp_path: Path, score_kind: ScoreKind) -> None:
    names = tuple(f"class {number}" for number in range(300))
    scores = np.full((1, 300), 0.75 if score_kind == "sigmoid" else 1 / 512)
    detections = FrameDetections.from_boxes(
        [[1, 2, 9, 8]],
        height=12,
        width=17,
        labels=[299],
        scores=[0.5],
        class_scores=None if score_kind == "label" else scores,
    )
    path = tmp_path / "shard-000000.zarr.zip"
    with ShardWriter(path, "any", score_kind, class_names=names) as writer:
        add(writer, "a", detections)
        begin(writer, "b")
        with pytest.raises(ShapeError, match="of 300 classes, got"):
            labels = np.full_like(detections.labels, 300)
            writer.add(0, 0.0, replace(detections, labels=labels, class_scores=None))
        writer.fail("b", "labels")
    shard = Shard(path)
    assert (shard.score_kind, shard.detector.class_names) == (score_kind, names)
    assert_same(shard.checked_frame(0), detections)
    assert verify_shard(path) == []
    assert summarize(shard)["classes"] == {"class 299": 1}
    assert DetectionFolder(tmp_path).rules == ClassRules(num_classes=300, score_kind=score_kind)


def test_a_failure_takes_back_what_came_of_the_video(tmp_path: Path) -> None:
    many = drawn_detections(2, num=300)
    shards = []
    for name, failing_frames in (("one.zip", 0), ("two.zip", 9)):  # 819 detections fill a chunk
        with ShardWriter(tmp_path / name, ENTRY) as writer:
            add(writer, "a", many)
            begin(writer, "b")
            for index in range(failing_frames):
                writer.add(index, float(index), many)
            writer.fail("b", "the disk")
            add(writer, "c", *[many] * 5)
        shards.append((tmp_path / name).read_bytes())
    assert shards[0] == shards[1]
    shard = Shard(tmp_path / "two.zip")
    assert verify_shard(shard.path) == []
    assert [video.id for video in shard.videos] == ["a", "c"]
    assert [video.id for video in shard.failed] == ["b"]
    assert shard.frame_video().tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), PipelineError("x")])
def test_an_error_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), ShardWriter(tmp_path / "s.zip", ENTRY) as writer:
        add(writer, "a", drawn_detections())
        assert list(tmp_path.iterdir()) == []
        raise error
    message = "end_video.* for video 'a'"
    with pytest.raises(ShapeError, match=message), ShardWriter(tmp_path / "s.zip", ENTRY) as writer:
        begin(writer)
    assert list(tmp_path.iterdir()) == []
