"""Any function that takes frames detects, resumes and fails as MMDetection's models do."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from zarr.storage import ZipStore

import orn
from orn.inspection.verify import verify_folder
from orn.shared.errors import ConfigError, DetectorError
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.stage1_detect.own_detector_results import frame_detections
from tests.running import run_orn
from tests.stage1_detect.conftest import draw_picture
from tests.worlds.own_detector import HERE, Blocks
from tests.worlds.shards import unit_files
from tests.worlds.tables import counted_videos
from tests.worlds.videos import write_pictures


@pytest.fixture
def config(tmp_path: Path) -> orn.DetectConfig:
    """Detects in two videos of 7 and 4 frames, with the blocks."""
    manifest = counted_videos(tmp_path, {"a": 7, "b": 4})
    return orn.DetectConfig(
        dataset=str(manifest),
        data_root=tmp_path / "data",
        out=tmp_path / "shards",
        detector=Blocks(),
        unit_frames=3,
        score_threshold=0,
        device="cpu",
    )


def arrays(group: Any) -> dict[str, bytes]:
    return {name: array[:].tobytes() for name, array in group.arrays()}


def opened(path: Path) -> Any:
    return zarr.open_group(ZipStore(path, mode="r"), mode="r")


def test_objects_and_files_detect_the_same_in_any_number_of_processes(config, tmp_path) -> None:
    of_file = replace(config, detector=f"{HERE}:Blocks", out=tmp_path / "file", workers=1)
    in_two = replace(of_file, workers=2, out=tmp_path / "two")
    for one in (config, of_file, in_two):
        done = orn.detect(one)
        assert (
            done.record["total_frames"],
            done.record["total_detections"],
            done.record["failed"],
        ) == (11, 22, [])
        assert verify_folder(one.out) == []
    assert unit_files(of_file.out) == unit_files(in_two.out)
    for name in unit_files(of_file.out):
        own, other = opened(config.out / name), opened(of_file.out / name)
        assert arrays(own) == arrays(other)
        assert own["tracks"][0] == 0  # of each unit: `reset` was called
        assert own.attrs["score_kind"] == "label"
        assert own.attrs["detector"]["class_names"] == [*Blocks.classes]


class Told(Blocks):
    """Notes what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.calls.append("reset")

    def __call__(self, frames: Any, video: Any, times: tuple[float, ...]) -> Any:
        self.calls.append((video.id, times))
        return super().__call__(frames, video, times)


def test_a_detector_is_told_the_times_of_its_frames_and_where_a_video_begins(config) -> None:
    told = Told()
    orn.detect(replace(config, detector=told, unit_frames=100, batch_size=3))
    shards = DetectionFolder(config.out)
    assert told.calls.count("reset") == 2
    for video_id in ("a", "b"):
        times = [own[1] for own in told.calls if own[0] == video_id]
        assert np.concatenate(times).tolist() == shards.video(video_id).seconds.tolist()
        assert len(times) > 1
        assert told.calls[told.calls.index((video_id, times[0])) - 1] == "reset"


@pytest.mark.ray
def test_actors_write_the_same_shards(config, tmp_path) -> None:
    pytest.importorskip("ray", reason="needs the package ray: pip install ray")
    of_file = replace(config, detector=f"{HERE}:Blocks", workers=2)
    on_ray = replace(of_file, engine="ray", out=tmp_path / "ray")
    for one in (of_file, on_ray):
        assert orn.detect(one).record["total_detections"] == 22
    assert unit_files(of_file.out) == unit_files(on_ray.out)


class Wrapped:
    """One of our detectors as a detector of a user."""

    name, version = "wrapped", "1"

    def __init__(self, detector: Any) -> None:
        self.classes, self.score_kind = detector.entry.class_names, detector.score_kind
        self._detector = detector

    def __call__(self, frames: Any, video: Any, times: Any) -> Any:
        return self._detector.detect(frames)


@pytest.mark.mmdet
def test_our_own_detector_as_a_function_gives_the_same_arrays(
    config, tmp_path, load_tiny, tiny_files
) -> None:
    for number, name in enumerate(("a", "b")):
        film = [draw_picture(10 * number + frame) for frame in range(5)]
        write_pictures(tmp_path / "data" / "mine" / "videos" / f"{name}.mp4", np.array(film))
    common = replace(config, detector=None, score_threshold=0.02, batch_size=2, workers=1)
    paths = tiny_files["demo"]
    usual = replace(common, config=str(paths["config"]), checkpoint=paths["checkpoint"])
    wrapped = Wrapped(load_tiny("demo", batch_size=2))
    own = replace(common, detector=wrapped, out=tmp_path / "own")
    assert orn.detect(usual).record["total_detections"] > 50
    orn.detect(own)
    names = unit_files(usual.out).keys()
    assert names == unit_files(own.out).keys() and len(names) == 4
    identity = ("config_name", "config_digest", "checkpoint_digest", "versions")
    for name in names:
        one, other = (opened(job.out / name) for job in (usual, own))
        assert arrays(one) == arrays(other)
        attributes = [dict(group.attrs) for group in (one, other)]
        assert attributes[0]["score_kind"] == "softmax"
        for attribute in attributes:
            for field in identity:
                del attribute["detector"][field]
        assert attributes[0] == attributes[1]


def test_results_are_recognized_by_their_fields() -> None:
    """supervision.Detections, and a dict of torchvision with tensors that require gradients."""
    masks = np.zeros((3, 6, 9), np.bool_)
    masks[0, 1:4, 2:7] = masks[1, 0:2, 0:3] = masks[2, 3:, 5:] = True
    ours = FrameDetections.from_masks(masks, labels=[1, 0, 1], scores=[0.9, 0.3, 0.75])
    ours = replace(ours, tracks=np.array([4, 5, -1]))
    fields = {"xyxy": ours.boxes, "mask": masks, "confidence": ours.scores}
    supervision = SimpleNamespace(
        **fields, class_id=np.array([1, 0, 1]), tracker_id=np.array([4, 5, -1]), data={}
    )
    boxes = torch.tensor(ours.boxes, requires_grad=True)
    probabilities = torch.from_numpy(masks)[:, None] * 0.6
    torchvision = {
        "boxes": boxes,
        "labels": torch.tensor([1, 0, 1]),
        "scores": torch.tensor(ours.scores),
        "masks": probabilities,
        "tracks": torch.tensor([4, 5, -1]),
    }
    expected = frame_detections(ours, height=6, width=9, score_threshold=0.3)
    assert expected.tracks is not None and expected.tracks.tolist() == [4, -1]
    for result in (supervision, torchvision):
        got = frame_detections(result, height=6, width=9, score_threshold=0.3)
        for field in ("boxes", "scores", "labels", "tracks"):
            np.testing.assert_array_equal(getattr(got, field), getattr(expected, field))
        assert got.masks == expected.masks
    supervision.mask = supervision.tracker_id = supervision.confidence = None
    boxes_only = frame_detections(supervision, height=6, width=9, score_threshold=0.3)
    assert boxes_only.scores.tolist() == [1, 1, 1]
    assert boxes_only.mask_arrays().sum(axis=(1, 2)).tolist() == [15, 6, 12]
    empty = SimpleNamespace(xyxy=np.empty((0, 4)), confidence=np.array([]), class_id=np.array([]))
    assert len(frame_detections(empty, height=6, width=9, score_threshold=0)) == 0


def test_class_scores_are_kept(config) -> None:
    class Scored(Blocks):
        score_kind = "sigmoid"

        def __call__(self, frames: Any, video: Any, times: Any) -> list[Any]:
            scores = np.array([[0.5, 0.25], [0.125, 0.75]])
            return [
                one | {"class_scores": scores} for one in super().__call__(frames, video, times)
            ]

    orn.detect(replace(config, detector=Scored()))
    shard = opened(config.out / "shard-000000.zarr.zip")
    assert shard.attrs["score_kind"] == "sigmoid"
    assert shard["class_scores"][:2].tolist() == [[0.5, 0.25], [0.125, 0.75]]


def raises(results: Any) -> Any:
    raise ValueError("out of\nideas")


def changed(**fields: Any) -> Callable[[Any], Any]:
    return lambda results: [one | fields for one in results]


MANY = {
    "boxes": np.tile([1.0, 1, 5, 5], (10_001, 1)),
    "labels": np.zeros(10_001, np.int64),
    "scores": np.ones(10_001),
    "masks": None,
    "tracks": None,
}
HOSTILE = {
    "raises": (raises, "ValueError: out of ideas"),
    "none": (lambda results: None, "TypeError"),
    "too few": (lambda results: results[1:], "for each of 1 frames, got 0"),
    "a type": (lambda results: [3] * len(results), "expected supervision.Detections"),
    "size": (changed(masks=np.ones((2, 9, 9))), "(2, 48, 64), got (2, 9, 9)"),
    "NaN box": (changed(boxes=np.full((2, 4), np.nan)), "boxes with finite"),
    "NaN mask": (changed(masks=np.full((2, 48, 64), np.nan)), "got values from nan to nan"),
    "-1 in a mask": (changed(masks=np.full((2, 48, 64), -1)), "got values from -1 to -1"),
    "logits": (changed(masks=np.full((2, 48, 64), 7.5)), "got values from 7.5 to 7.5"),
    "class": (changed(labels=np.array([0, 2])), "labels of object 1: expected a class, 0 to 1"),
    "text": (changed(boxes="left"), "ValueError"),
    "many": (changed(**MANY), "expected at most 10,000 objects"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_goes_wrong_fails_its_video_with_one_line(config, name) -> None:
    spoil, expected = HOSTILE[name]

    class Hostile(Blocks):
        def __call__(self, frames: Any, video: Any, times: Any) -> Any:
            results = super().__call__(frames, video, times)
            return spoil(results) if video.id == "a" and times[0] >= 0.6 else results

    done = orn.detect(replace(config, detector=Hostile(), unit_frames=4))
    (failed,) = done.record["failed"]
    assert (failed["id"], done.exit_code) == ("a", 3)
    assert expected in failed["reason"] and "\n" not in failed["reason"]
    assert "frames from 6" in failed["reason"] or "frame 6" in failed["reason"]
    assert done.record["total_frames"] == 8  # b, and the first unit of a
    told = verify_folder(config.out)
    assert [problem.message for problem in told if "failed" not in problem.message] == []


@pytest.mark.parametrize("end", [lambda: sys.exit(), lambda: sys.exit(0), lambda: os._exit(0)])
def test_a_detector_that_ends_its_process_fails_the_job(config, end) -> None:
    """Nothing counts as done, and the same command without its exits detects everything."""

    class Ending(Blocks):
        def __call__(self, frames: Any, video: Any, times: Any) -> Any:
            end()

    with pytest.raises(DetectorError, match="blocks 1: expected results, got an attempt to end"):
        orn.detect(replace(config, detector=Ending()))
    assert not [*config.out.glob("shard-*")]
    assert orn.detect(replace(config, detector=Blocks())).exit_code == 0


@pytest.mark.parametrize(
    "text", ["import sys; sys.exit(0)", "import os\nmake = lambda: os._exit(0)"]
)
def test_a_file_that_ends_the_process_is_named(config, tmp_path, text) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(DetectorError, match=r"own\.py:make: expected results, got an attempt"):
        orn.detect(replace(config, detector=f"{path}:make"))


def test_many_objects_are_kept(config) -> None:
    fields = {name: value if value is None else value[:10_000] for name, value in MANY.items()}

    class Many(Blocks):
        def __call__(self, frames: Any, video: Any, times: Any) -> Any:
            return changed(**fields)(super().__call__(frames, video, times))

    orn.detect(replace(config, detector=Many(), limit=1))
    shard = Shard(config.out / "shard-000000.zarr.zip")
    assert len(next(iter(shard)).detections) == 10_000


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("classes", (), r"classes: .*got \(\)"),
        ("classes", (1,), r"classes\[0\]: expected a valid string, got 1"),
        ("name", "", "name: "),
        ("version", 2, "version: expected a valid string, got 2"),
        ("score_kind", "logits", "score_kind: expected 'softmax'"),
    ],
)
def test_an_incomplete_detector_is_refused(config, monkeypatch, attribute, value, expected) -> None:
    monkeypatch.setattr(Blocks, attribute, value, raising=False)
    with pytest.raises(DetectorError, match=expected):
        orn.detect(config)
    assert not config.out.exists()


@pytest.mark.parametrize("changes", [{"name": "others"}, {"version": "2"}])
def test_another_name_or_version_is_another_detector(config, monkeypatch, changes) -> None:
    orn.detect(config)
    for attribute, value in changes.items():
        monkeypatch.setattr(Blocks, attribute, value)
    with pytest.raises(ConfigError, match="detector"):
        orn.detect(config)


def test_the_file_of_a_detector_is_part_of_its_identity(config, tmp_path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(Path(HERE).read_text())
    own = replace(config, detector=f"{file}:Blocks", workers=1)
    orn.detect(own)
    assert orn.detect(own).record["existing_units"] == 5
    file.write_text(file.read_text() + "# a comment\n")
    os.utime(file, ns=(0, 0))
    with pytest.raises(ConfigError, match=r"detector\.config_digest"):
        orn.detect(own)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def make(:", "SyntaxError"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("make = 3", "TypeError"),
        ("def make(device): return device", "missing key 'classes'"),
        ("def other(): pass", "has no attribute 'make'"),
    ],
)
def test_a_file_that_makes_no_detector_is_one_line(config, tmp_path, text, expected) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    words = ("detect", config.dataset, "--data", config.data_root, "--out", config.out)
    ran = run_orn(*words, "--detector", f"{file}:make", exit_code=1)
    assert expected in ran.stderr and "Traceback" not in ran.stderr
    assert not config.out.exists()


def test_a_manifest_cannot_name_a_file_with_code(config) -> None:
    manifest = Path(config.dataset)
    manifest.write_text(manifest.read_text() + f'\n[detector]\nconfig = "{HERE}:Blocks"\n')
    assert run_orn("detect", manifest, "--data", config.data_root, exit_code=None).exit_code


def test_options_that_do_not_fit_are_refused(config) -> None:
    for other in ({"workers": 2}, {"engine": "ray"}, {"config": "mask_rcnn_demo"}):
        with pytest.raises(ConfigError, match="detector"):
            replace(config, **other)
