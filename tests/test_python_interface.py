"""The functions of `orn` and docs/python.md."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import orn
from orn import load_detector, load_model, open_dataset, open_shard, predict_video
from orn.shared.errors import ConfigError, ShardNotFoundError, VideoDecodeError
from orn.shared.video.read import read_frames
from orn.stage2_train.runs.saved_predictions import load_predictions
from tests.conftest import ROOT
from tests.running import LAPTOP, run_orn, run_python
from tests.worlds.shards import FakeDetector

FILM = "validation-000001"
PATH = f"data/demo/videos/{FILM}.mp4"


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


@pytest.mark.mmdet
def test_shards_and_a_detector_give_what_eval_gives(small_demo) -> None:
    run_orn("eval", "runs/demo", *LAPTOP)
    kept = load_predictions(Path("runs/demo/predictions-validation.npz"))
    expected_A = kept.logits[kept.ids.index(FILM)]
    model = load_model("runs/demo", device="cpu")
    detector = load_detector(config="mask_rcnn_demo", device="cpu")  # shards have the true objects
    for objects, tolerance in (("shards/demo", 1e-5), (detector, 0.05)):
        [prediction] = predict_video(model, PATH, objects, pairs=2)
        assert np.abs(prediction.logits["two_heads"] - expected_A).max() < tolerance
        assert (len(prediction.frames), len(prediction.clip.pairs or ())) == (4, 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"video": "x.mp4"}, VideoDecodeError, "x.mp4: "),
        ({"video": "data", "detections": FakeDetector()}, VideoDecodeError, "pass rate"),
        ({"video": "other.mp4"}, ShardNotFoundError, "video with this content"),
    ],
)
def test_invalid_arguments_are_refused(small_demo, changes, error, message) -> None:
    Path("other.mp4").write_bytes(b"another film")
    given = {"video": PATH, "detections": "shards/demo"} | changes
    model = load_model("runs/demo", device="cpu")
    with pytest.raises(error, match=re.escape(message)) as refused:
        list(predict_video(model, given.pop("video"), given.pop("detections"), **given))
    assert "--" not in str(refused.value)


def test_a_detector_for_other_frames_than_those_of_the_training_is_refused(small_demo) -> None:
    model = load_model("runs/demo", device="cpu")
    detector = replace(model.config.detector, frame_rate=2)
    model = replace(model, config=replace(model.config, detector=detector))
    with pytest.raises(ConfigError, match="expected objects in 2 frames per second"):
        predict_video(model, PATH, FakeDetector())


@pytest.mark.mmdet
def test_the_code_of_the_page_runs(small_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    parts = page.split("```")[1::2]
    blocks = [part.removeprefix("python\n") for part in parts if part.startswith("python\n")]
    frames = [frame.image for frame in read_frames(Path(PATH))]
    corner_1HW = np.pad(np.ones((1, 9, 9), np.bool_), ((0, 0), (0, 111), (0, 151)))
    names: dict[str, object] = {
        "__name__": "__main__",
        "frames": frames[:2],
        "my_detector": lambda image: (corner_1HW, [39], [0.9]),
    }
    assert len(blocks) == 5
    for block in blocks:
        block = block.replace('"film.mp4"', repr(PATH))
        block = block.replace("videos=(", 'shards=Path("shards/demo"), videos=(')
        block = block.replace("batch_size=8", 'limit=1, out=Path("other"), device="cpu"')
        block = block.replace('run=Path("runs/demo")', 'max_steps=1, run=Path("runs/other")')
        block = block.replace("clip_frames=8", "clip_frames=2").replace("workers=2", "workers=0")
        exec(block, names)
    output = capsys.readouterr().out
    assert output.count("train-0000") >= 4 + 2
    assert any(name in output for name in names["model"].classes)
    written = open_shard("shards/mine/shard-000000.zarr.zip")
    assert [len(frame.detections) for frame in written["film"]] == [1] * len(frames)


def test_no_module_takes_the_name_of_a_function() -> None:
    """Importing a submodule binds its name in the package."""
    code = """
import importlib, inspect, pkgutil
import orn

functions = {name for name in orn.__all__ if inspect.isfunction(getattr(orn, name))}
assert {"detect", "train", "evaluate", "report", "predict", "clips"} <= functions
for module in pkgutil.iter_modules(orn.__path__):
    if module.name != "__main__":
        importlib.import_module(f"orn.{module.name}")
wrong = {name for name in functions if not inspect.isfunction(getattr(orn, name))}
assert not wrong, wrong
"""
    run_python("-c", code)


def test_a_data_set_is_evaluated_and_reported_as_by_the_commands(small_demo: Path) -> None:
    run, alone = Path("runs/demo"), orn.DataAndDevice(device="cpu", threads=1)
    file = orn.evaluate(orn.EvalConfig(run=run, resources=alone))
    words = ("eval", run, "--json", "--workers", 0, "--device", "cpu")
    assert run_orn(*words).json == file.as_json()
    page = orn.report(orn.ReportConfig(run=run, resources=alone)).as_json()
    assert Path(page["report"]).stat().st_size == page["bytes"]
