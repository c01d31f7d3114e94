import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from orn.shared.errors import CheckpointError, TrainingError

pytestmark = pytest.mark.mmdet


def settings(**changes: Any) -> Any:
    from orn.demo.detector.training import DetectorTraining

    small = DetectorTraining(
        iterations=4, batch=2, warmup_iterations=2, save_every=2, evaluate_every=2
    )
    return dataclasses.replace(small, **changes)


def train(folder: Path, out: Path, config: Path, **changes: Any) -> dict[str, Any]:
    from orn.demo.detector.training import train_detector

    return train_detector(folder, out, config=config, settings=settings(**changes))


class Killed(Exception):
    """Stands for a kill."""


def test_killed_and_resumed_equals_never_killed(
    coco_folder: Path, tmp_path: Path, demo_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import orn.demo.detector.training as training
    from orn.stage1_detect.mmdet.detector import load_detector

    whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    record = train(coco_folder, whole, demo_config)
    assert record == json.loads((tmp_path / "whole.pth.json").read_text())
    assert [entry["iteration"] for entry in record["history"]] == [2]
    assert set(record["average_precision"]) == {"box_ap50", "box_ap", "mask_ap50", "mask_ap"}
    assert record["parameters"] > 1_000_000

    frames_of_step = training.frames_of_step

    def killed_at_three(step: int, *args: Any) -> list[int]:
        if step == 3:
            raise Killed
        return frames_of_step(step, *args)

    monkeypatch.setattr(training, "frames_of_step", killed_at_three)
    with pytest.raises(Killed):
        train(coco_folder, cut, demo_config)
    monkeypatch.undo()
    assert not cut.exists()
    with pytest.raises(
        CheckpointError, match=r"cut\.pth\.resume: .*seed is 0 as recorded, 1 as requested"
    ):
        train(coco_folder, cut, demo_config, seed=1)
    resume = tmp_path / "cut.pth.resume"
    state = resume.read_bytes()
    for damage in (
        lambda: resume.write_bytes(state[:-9]),
        lambda: torch.save({"settings": {}}, resume),
    ):
        damage()
        with pytest.raises(CheckpointError, match=r"cut\.pth\.resume: .*; remove"):
            train(coco_folder, cut, demo_config)
    resume.write_bytes(state)
    resumed = train(coco_folder, cut, demo_config)
    assert resumed["history"] == record["history"]
    assert not (tmp_path / "cut.pth.resume").exists()

    first, second = (torch.load(path, weights_only=True) for path in (whole, cut))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["backbone.conv1.weight"].dtype == torch.float16
    assert first["backbone.bn1.running_var"].dtype == torch.float32
    load_detector(config=demo_config, checkpoint=whole, device="cpu")


def test_a_loss_that_is_not_finite_ends_the_training(
    coco_folder: Path, tmp_path: Path, demo_config: Path
) -> None:
    with pytest.raises(TrainingError, match=r"expected a finite loss.*frames \["):
        train(coco_folder, tmp_path / "out.pth", demo_config, learning_rate=float("inf"))
    assert not (tmp_path / "out.pth").exists()


def test_figures_are_of_the_weights_that_are_stored(
    coco_folder: Path, tmp_path: Path, demo_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import orn.demo.detector.training as training

    evaluated: list[dict[str, torch.Tensor]] = []

    def evaluate(model: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        evaluated.append({name: w.clone() for name, w in model.state_dict().items()})
        return {}

    monkeypatch.setattr(training, "evaluate_model", evaluate)
    train(coco_folder, tmp_path / "out.pth", demo_config, iterations=1)
    stored = torch.load(tmp_path / "out.pth", weights_only=True)
    assert all(torch.equal(w, stored[name].to(w.dtype)) for name, w in evaluated[-1].items())


def test_another_network_of_fewer_classes(coco_folder: Path, tmp_path: Path) -> None:
    from orn.demo.detector.training import demo_config
    from orn.stage1_detect.mmdet.detector import load_detector

    config, out = demo_config("rtmdet_ins"), tmp_path / "trained.pth"
    record = train(coco_folder, out, config, iterations=3)
    (first,) = record["history"]
    assert {"loss_cls", "loss_bbox", "loss_mask"} <= {f"loss_{name}" for name in first}
    detector = load_detector(config=config, checkpoint=out, device="cpu", score_threshold=0.0)
    names = detector.entry.class_names
    assert (len(names), "bottle" in names, "person" in names) == (14, True, False)
    assert detector.score_kind == "sigmoid"
