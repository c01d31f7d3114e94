"""The functions of `orn` and docs/python.md."""

import re
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from orn import load_model, open_dataset, open_shard, predict_frames, predict_video
from orn.shared.errors import (
    ConfigError,
    PipelineError,
    ShapeError,
    ShardFormatError,
    ShardNotFoundError,
    VideoDecodeError,
)
from orn.shared.masks.detections import FrameDetections
from orn.shared.video.read import read_frames
from orn.stage2_train.evaluation.evaluate import evaluate
from orn.stage2_train.requests import EvalRequest
from orn.stage2_train.resources import Resources
from tests.conftest import ROOT

SHARD = Path("shards/demo/shard-000000.zarr.zip")
FILM = "validation-000001"
SAME = 1e-5
"""Logits of a clip alone and in a batch differ in their last bits."""


@pytest.fixture(scope="module")
def made(small_demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(small_demo_run, tmp_path_factory.mktemp("copied") / "small")


@pytest.fixture
def small_demo(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


@pytest.fixture(scope="module")
def logits(made: Path) -> dict[str, NDArray[np.float32]]:
    """What `orn eval` says of each validation film."""
    with chdir(made):
        request = EvalRequest(run=Path("runs/demo"), resources=Resources(device="cpu", threads=1))
        evaluate(request)
        kept = np.load("runs/demo/predictions-validation.npz")
    return dict(zip(kept["ids"].tolist(), kept["logits"], strict=True))


class Recalls:
    """A detector that knows the detections of some frames by their pixels."""

    def __init__(self, frames: list[NDArray[np.uint8]], detections: list[FrameDetections]) -> None:
        self.looked_at = 0
        self._known = {
            frame.tobytes(): found for frame, found in zip(frames, detections, strict=True)
        }

    def detect(self, images: list[NDArray[np.uint8]]) -> list[FrameDetections]:
        self.looked_at += len(images)
        return [self._known[image.tobytes()] for image in images]


class Answers:
    """A detector that answers the same whatever it sees."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def detect(self, images: list[NDArray[np.uint8]]) -> object:
        return self._answer


def film(name: str = FILM) -> tuple[Path, list[NDArray[np.uint8]], list[FrameDetections]]:
    """The file of a film, its frames, and what is detected in each."""
    path = Path(f"data/demo/videos/{name}.mp4")
    shown = [frame.image for frame in read_frames(path)]
    return path, shown, [frame.detections for frame in open_shard(SHARD).frames(name)]


def test_batches_of_a_data_set(small_demo: Path) -> None:
    dataset = open_dataset("demo", settings=["data.clip_frames=3"])
    assert len(dataset.classes) == 12
    assert dataset.detector_classes[0] == "person"
    [batch] = dataset.batches("validation")
    assert batch.ids == ("validation-000000", "validation-000001")
    assert batch.frames_BTCHW.shape == (2, 3, 3, 64, 80)
    epochs = list(dataset.batches("train", batch_size=2, epochs=2))
    assert [len(batch) for batch in epochs] == [2, 2, 2, 2]
    first, second = ({i for b in epochs[place : place + 2] for i in b.ids} for place in (0, 2))
    assert first == second == {f"train-{number:06d}" for number in range(4)}
    again = dataset.batches("train", batch_size=2, epochs=2)
    for batch, other in zip(epochs, again, strict=True):
        assert torch.equal(batch.frames_BTCHW, other.frames_BTCHW)
    with pytest.raises(ConfigError, match=r"demo: expected a split .*, got 'tain'"):
        dataset.clips("tain")
    for wrong in ({"batch_size": 0}, {"epochs": 0}, {"workers": -1}):
        with pytest.raises(ConfigError, match=rf"batches: {next(iter(wrong))}: expected at least"):
            dataset.batches("train", **wrong)


BATCHES = 'print(len(list(open_dataset("demo").batches("train", batch_size=2, workers=1))))'


@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_script_with_workers_needs_the_usual_guard(
    small_demo: Path, tmp_path: Path, is_guarded: bool
) -> None:
    guard = 'if __name__ == "__main__":\n    ' if is_guarded else ""
    script = tmp_path / "script.py"
    script.write_text(f"from orn import open_dataset\n{guard}{BATCHES}\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    if is_guarded:
        assert (ran.stdout, ran.stderr) == ("2\n", "")
        return
    assert ran.stderr.count("Traceback") == 1
    assert "`if __name__" in ran.stderr.splitlines()[-1]


def test_decoded_batches_need_no_store(small_demo: Path) -> None:
    dataset = open_dataset("demo", shards="shards/demo", decode=True)
    [batch] = dataset.batches("validation")
    [stored] = open_dataset("demo").batches("validation")
    assert torch.equal(batch.masks_BTKhw, stored.masks_BTKhw)


def test_every_way_gives_what_eval_gives(
    small_demo: Path, logits: dict[str, NDArray[np.float32]]
) -> None:
    model = load_model("runs/demo", device="cpu")
    path, frames, detections = film()
    recalls = Recalls(frames, detections)
    for found in (
        predict_video(model, str(path), "shards/demo", pairs=2),
        predict_video(model, path, recalls, pairs=2),
        predict_frames(model, frames, detections, pairs=2),
        predict_frames(model, np.stack(frames), detections, pairs=2),
    ):
        [prediction] = found
        assert np.abs(prediction.logits["two_heads"] - logits[FILM]).max() < SAME
        assert len(prediction.frames) == 4
        assert len(prediction.pairs or ()) == 2
    assert recalls.looked_at == 4


def test_objects_are_detected_at_the_rate_of_the_training(small_demo: Path) -> None:
    model = load_model("runs/demo", device="cpu")
    detector = replace(model.config.detector, frame_rate=2)  # of eight: frames 0, 4 and 8
    model = replace(model, config=replace(model.config, detector=detector))
    path, frames, detections = film()
    recalls = Recalls(frames, detections)
    [found] = predict_video(model, path, recalls)
    nearest = [detections[min(4 * round((place - 0.1) / 4), 8)] for place in range(len(frames))]
    [wanted] = predict_frames(model, frames, nearest)
    assert found.logits.keys() == wanted.logits.keys()
    for name, logits_A in found.logits.items():
        np.testing.assert_allclose(logits_A, wanted.logits[name], atol=SAME)
    assert recalls.looked_at <= 4


def test_windows_of_arrays_with_times(small_demo: Path) -> None:
    model = load_model("runs/demo", device="cpu")
    _, frames, detections = film()
    times = {"seconds": np.arange(len(frames)) / 8, "window": 0.5, "stride": 0.25}
    by_window = list(predict_frames(model, frames, detections, **times))
    assert [each.start_seconds for each in by_window[:3]] == [0, 0.25, 0.5]
    assert [len(each.frames) for each in by_window] == [4] * len(by_window)
    assert by_window[-1].stop_seconds == pytest.approx(len(frames) / 8)


FRAMES = [np.zeros((8, 8, 3), np.uint8)]
FOUND = [FrameDetections.from_masks(np.ones((1, 8, 8), np.bool_), labels=[0], scores=[1])]
SMALL = FrameDetections.from_masks(np.ones((1, 4, 4), np.bool_), labels=[0], scores=[1])
WILD = FrameDetections.from_masks(np.ones((1, 8, 8), np.bool_), labels=[0], scores=[7])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"frames": None}, ShapeError, "frames: expected a sequence"),
        ({"detections": []}, ShapeError, "expected 1 FrameDetections, one per frame"),
        ({"frames": 2 * FRAMES, "detections": [*FOUND, SMALL]}, ShapeError, "the same grid"),
        ({"detections": [WILD]}, ShardFormatError, "detections of frame 0: scores of detection 0"),
        ({"seconds": ["a"]}, ShapeError, "seconds: expected numbers"),
        ({"window": 0}, ConfigError, "window: expected more than 0 seconds"),
        ({"model": "runs/demo"}, ConfigError, "model: expected a model from load_model"),
    ],
)
def test_invalid_frames_are_refused_at_the_call(
    small_demo: Path, changes: dict[str, object], error: type[PipelineError], message: str
) -> None:
    given = {"model": load_model("runs/demo", device="cpu"), "frames": FRAMES, "detections": FOUND}
    given |= changes
    with pytest.raises(error, match=re.escape(message)) as refused:
        predict_frames(given.pop("model"), given.pop("frames"), given.pop("detections"), **given)
    assert "--" not in str(refused.value)


@pytest.mark.parametrize(
    ("video", "detections", "error", "message"),
    [
        ("x.mp4", Answers([]), VideoDecodeError, "x.mp4: cannot be opened"),
        (FRAMES, FOUND, ConfigError, "pass arrays to predict_frames"),
        (f"data/demo/videos/{FILM}.mp4", Answers([]), ShapeError, "expected 1 FrameDetections"),
        ("other.mp4", "shards/demo", ShardNotFoundError, "video with this content"),
    ],
)
def test_invalid_videos_are_refused(
    small_demo: Path, video: object, detections: object, error: type[PipelineError], message: str
) -> None:
    Path("other.mp4").write_bytes(b"another film")
    model = load_model("runs/demo", device="cpu")
    with pytest.raises(error, match=re.escape(message)) as refused:
        list(predict_video(model, video, detections))
    assert "--" not in str(refused.value)


@pytest.mark.mmdet
def test_the_code_of_the_page_runs(small_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    parts = page.split("```")[1::2]
    blocks = [part.removeprefix("python\n") for part in parts if part.startswith("python\n")]
    path, frames, _ = film()
    corner_1HW = np.pad(np.ones((1, 9, 9), np.bool_), ((0, 0), (0, 111), (0, 151)))
    names: dict[str, object] = {
        "__name__": "__main__",
        "frames": frames[:2],
        "my_detector": lambda image: (corner_1HW, [39], [0.9]),
    }
    assert len(blocks) == 7
    for block in blocks:
        block = block.replace('"film.mp4"', repr(str(path)))
        block = block.replace("clip_frames=8", "clip_frames=2").replace("workers=2", "workers=0")
        exec(block, names)
    said = capsys.readouterr().out
    assert said.count("train-0000") >= 4 + 2
    assert any(each in said for each in names["model"].classes)
    written = open_shard("shards/mine/shard-000000.zarr.zip")
    assert [len(frame.detections) for frame in written["film"]] == [1] * len(frames)
