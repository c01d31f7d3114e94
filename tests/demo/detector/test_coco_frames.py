import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from orn.shared.errors import DataRootError, ManifestError
from tests.demo.detector.conftest import HEIGHT, WIDTH

pytestmark = pytest.mark.mmdet


def test_frames_and_objects(coco_folder: Path) -> None:
    from orn.demo.detector.coco_frames import load_coco_frames

    frames = load_coco_frames(coco_folder, "train")
    content = json.loads((coco_folder / "train.json").read_text())
    assert len(frames) == 6 and frames.image_ids == (1, 2, 3, 4, 5, 6)
    assert frames.images_MHWC.shape == (6, HEIGHT, WIDTH, 3)
    assert frames.objects[0][0] == content["annotations"][0]
    assert frames.objects[5] == []


def test_objects_of_some_classes(coco_folder: Path) -> None:
    from orn.demo.detector.coco_frames import load_coco_frames, make_batch

    names = ("toothbrush", "bottle")  # categories 80 and 40 of the file
    frames = load_coco_frames(coco_folder, "train", names)
    assert frames.category_ids == (80, 40)
    found = {each["category_id"] for objects in frames.objects for each in objects}
    assert found == {80, 40}
    normal = SimpleNamespace(mean=torch.zeros(3), std=torch.ones(3), pad_size_divisor=1)
    _, samples = make_batch(
        frames, range(6), generator=np.random.default_rng(0), preprocessor=normal
    )
    for sample, objects in zip(samples, frames.objects, strict=True):
        labels = sample.gt_instances.labels.tolist()
        assert labels == [(80, 40).index(each["category_id"]) for each in objects]
    with pytest.raises(ManifestError, match=r"train\.json: no category for .* spoons;"):
        load_coco_frames(coco_folder, "train", ("bottle", "spoons"))


def test_a_batch_flips_frame_boxes_and_masks_together(coco_folder: Path) -> None:
    from orn.demo.detector.coco_frames import load_coco_frames, make_batch

    frames = load_coco_frames(coco_folder, "train")
    normal = SimpleNamespace(
        mean=torch.full((3, 1, 1), 100.0), std=torch.full((3, 1, 1), 50.0), pad_size_divisor=32
    )
    x, _, w, _ = frames.objects[0][0]["bbox"]
    left = set()
    for seed in range(6):
        inputs_BCHW, samples = make_batch(
            frames, [0, 5], generator=np.random.default_rng(seed), preprocessor=normal
        )
        assert inputs_BCHW.shape == (2, 3, 64, 96)
        assert inputs_BCHW.is_contiguous(memory_format=torch.channels_last)
        assert not inputs_BCHW[:, :, HEIGHT:].any() and not inputs_BCHW[..., WIDTH:].any()
        truth = samples[0].gt_instances
        assert len(samples[1].gt_instances) == 0
        masks_NHW = torch.from_numpy(truth.masks.masks[:, :HEIGHT, :WIDTH]).bool()
        assert truth.masks.masks.shape[1:] == (64, 96)
        for mask_HW, (x1, y1, x2, y2) in zip(masks_NHW, truth.bboxes.int().tolist(), strict=True):
            assert mask_HW[y1:y2, x1:x2].all() and mask_HW.sum() == (y2 - y1) * (x2 - x1)
        # The last object lies on top; its blue is 40 before recolouring, the ground's 90 or more.
        blue_HW = inputs_BCHW[0, 2, :HEIGHT, :WIDTH]
        union_HW = masks_NHW.any(dim=0)
        assert blue_HW[union_HW].mean() < blue_HW[~union_HW].mean() - 0.5
        assert truth.labels[0] == frames.objects[0][0]["category_id"] - 1
        left.add(int(truth.bboxes[0, 0]))
    assert left == {x, WIDTH - x - w}


def test_errors_name_the_file(coco_folder: Path) -> None:
    from orn.demo.detector.coco_frames import load_coco_frames

    with pytest.raises(DataRootError, match=r"test\.json: .*`orn demo world demo-detector`"):
        load_coco_frames(coco_folder, "test")
    path = coco_folder / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 81
    path.write_text(json.dumps(content))
    with pytest.raises(ManifestError, match=r"annotation 1: expected the id of a category.*got 81"):
        load_coco_frames(coco_folder, "train")
    content["annotations"] = []
    content["images"][2]["file_name"] = "gone.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(DataRootError, match=r"gone\.jpg: cannot be opened \(No such file"):
        load_coco_frames(coco_folder, "train")
