"""Models of the zoo, with random weights on real frames: what `inference_detector` gives."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rle import bounding_box
from orn.shared.masks.validate import ClassRules, first_fault
from orn.shared.video.read import read_frames
from orn.stage1_detect.mmdet.class_scores import keep_class_scores
from orn.stage1_detect.mmdet.detector import load_detector

pytestmark = pytest.mark.mmdet

SIDE = 160
CLIPS = (
    "imageio__realshort.mp4",
    "lavila__ego4d_3c0dffd0_012_014.mp4",
    "mmaction2__part_0_pool.mp4",
    "mmaction2__test_ucf101_ApplyEyeMakeup_g01_c01.avi",
    "torchvision__SOX5yA1l24A.mp4",
)


@pytest.fixture(scope="module")
def frames(sample_data: Path) -> list[NDArray[np.uint8]]:
    """A frame of each real clip."""
    return [next(read_frames(sample_data / "clips" / "normal" / name)).image for name in CLIPS]


def small_config(folder: Path, name: str, score_threshold: float, **settings: Any) -> Path:
    """A config of the zoo for frames of at most `SIDE` pixels, with this threshold."""
    from orn.stage1_detect.mmdet.model import read_config

    config = read_config(name).config
    for step in config.test_dataloader.dataset.pipeline:
        step.update({key: (SIDE, SIDE) for key in ("scale", "size") if key in step})
    for place in (config.model.test_cfg, config.model.test_cfg.get("rcnn", {})):
        if "score_thr" in place:
            place.score_thr = score_threshold
    if config.model.test_cfg.get("rpn"):
        config.model.test_cfg.rpn.max_per_img = 100
        config.model.test_cfg.rcnn.max_per_img = 20
    config.merge_from_dict(settings)
    path = folder / f"{name}.py"
    config.dump(str(path))
    return path


def save_lively_weights(config: Path, path: Path, frame: NDArray[np.uint8]) -> Path:
    """Writes random weights whose normalizations fit a frame, so that what is found depends on
    it."""
    from orn.stage1_detect.mmdet.detector import FramePreparer
    from orn.stage1_detect.mmdet.model import build_model, class_head, read_config

    torch.manual_seed(0)
    detector = read_config(config)
    model = build_model(detector).eval()
    prepared = FramePreparer(detector, torch.device("cpu"))(frame)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d | torch.nn.SyncBatchNorm):
            norm.momentum = 1.0
            norm.train()
    data = {"inputs": [prepared["inputs"]], "data_samples": [prepared["data_samples"]]}
    with torch.no_grad():
        model.extract_feat(model.data_preprocessor(data, False)["inputs"])
    classes = [f"thing {number}" for number in range(class_head(model).num_classes)]
    meta = {"dataset_meta": {"classes": classes}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, path)
    return path


def mmdet_instances(
    *,
    config: Path,
    checkpoint: Path,
    frames: list[NDArray[np.uint8]],
    score_threshold: float | None = None,
) -> list[Any]:
    """What mmdet finds in each frame, by its own functions alone."""
    from mmdet.apis import inference_detector, init_detector

    model = init_detector(str(config), str(checkpoint), palette="random", device="cpu")
    if score_threshold is not None:
        model.roi_head.test_cfg.score_thr = score_threshold
    results = inference_detector(
        model, [np.ascontiguousarray(frame[:, :, ::-1]) for frame in frames]
    )
    return [sample.pred_instances for sample in results]


def assert_equal(detections: FrameDetections, expected: Any, score_threshold: float) -> None:
    """Masks, scores and labels to the bit; boxes too where they hold their masks."""
    expected = expected[expected.scores > score_threshold]
    np.testing.assert_array_equal(detections.scores, expected.scores.clamp(max=1).numpy())
    np.testing.assert_array_equal(detections.labels, expected.labels.numpy())
    full = np.asfortranarray(expected.masks.numpy().transpose(1, 2, 0).astype(np.uint8))
    assert list(detections.masks) == [mask["counts"] for mask in coco_mask.encode(full)]
    limits = torch.tensor([detections.width, detections.height] * 2)
    boxes = torch.minimum(expected.bboxes.clamp(min=0), limits).numpy()
    for box, mask, own in zip(boxes, detections.masks, detections.boxes, strict=True):
        x1, y1, x2, y2 = bounding_box(mask, detections.height)
        out = max(box[0] - x1, box[1] - y1, x2 - box[2], y2 - box[3])
        if out > 1 and (x2, y2) > (0, 0):
            box = [min(box[0], x1), min(box[1], y1), max(box[2], x2), max(box[3], y2)]
        np.testing.assert_array_equal(own, box)


def compare(
    name: str, folder: Path, frames: list[NDArray[np.uint8]], threshold: float, **settings: Any
) -> Any:
    """Loads and runs both, compares, and returns ours with what it found."""
    config = small_config(folder, name, threshold, **settings)
    checkpoint = save_lively_weights(config, folder / "weights.pth", frames[0])
    detector = load_detector("cpu", config=config, checkpoint=checkpoint, score_threshold=threshold)
    expected = mmdet_instances(config=config, checkpoint=checkpoint, frames=frames)
    detections = [detector.detect([frame])[0] for frame in frames]
    for ours, theirs in zip(detections, expected, strict=True):
        assert_equal(ours, theirs, threshold)
    assert sum(len(detected) for detected in detections) >= 5
    names = detector.entry.class_names
    rules = ClassRules(num_classes=len(names), score_kind=detector.score_kind)
    assert not any(first_fault(detected, rules) for detected in detections)
    return detector, detections


NARROW = {"model.backbone.depth": 18, "model.backbone.base_channels": 16}
CHANNELS = [16, 32, 64, 128]
SMALL = {
    **NARROW,
    "model.neck.in_channels": CHANNELS,
    "model.roi_head.mask_head.num_convs": 1,
    "model.roi_head.mask_head.conv_out_channels": 16,
}
QUICK: dict[str, tuple[str, float, dict[str, Any]]] = {
    "mask-rcnn_r50_fpn_1x_coco": ("softmax", 0.02, SMALL),
    "cascade-mask-rcnn_r50_fpn_1x_coco": ("softmax", 0.015, SMALL),
    "point-rend_r50-caffe_fpn_ms-1x_coco": (
        *("softmax", 0.02),
        NARROW | {"model.neck.in_channels": CHANNELS, "model.test_cfg.rcnn.max_per_img": 5},
    ),
    "mask2former_r50_8xb2-lsj-50e_coco": (
        *("softmax", 0.01),
        NARROW | {"model.panoptic_head.in_channels": CHANNELS},
    ),
    "rtmdet-ins_tiny_8xb32-300e_coco": ("sigmoid", 0.6, {"model.test_cfg.max_per_img": 20}),
    "yolact_r50_1xb8-55e_coco": ("label", 0.3, NARROW | {"model.neck.in_channels": CHANNELS}),
}
"""Kind of scores, a threshold that some objects of random weights pass, and smaller sizes."""


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.slow if name.startswith(("cascade", "point", "yolact")) else ()
        )
        for name in QUICK
    ],
)
def test_small_models(name: str, tmp_path: Path, frames: list[NDArray[np.uint8]]) -> None:
    kind, threshold, sizes = QUICK[name]
    detector, detections = compare(name, tmp_path, frames[:1], threshold=threshold, **sizes)
    assert detector.score_kind == kind
    assert detector.entry.class_names[79] == "thing 79"
    if kind != "label" and "mask2former" not in name:  # its scores are weighted by the masks
        assert_rows_have_the_kept_score(detections)
    if kind == "softmax":
        files = {"config": tmp_path / f"{name}.py", "checkpoint": tmp_path / "weights.pth"}
        (none,) = load_detector("cpu", **files, score_threshold=1.0).detect(frames[:1])
        assert len(none) == 0 and none.class_scores is not None


def assert_rows_have_the_kept_score(detections: list[FrameDetections]) -> None:
    for frame in detections:
        kept = frame.class_scores[np.arange(len(frame)), frame.labels]
        np.testing.assert_array_equal(kept, frame.scores.astype(np.float16))


def test_masks_of_queries_have_the_softmax_of_their_query() -> None:
    from orn.stage1_detect.mmdet.model import MaskFormerFusionHead

    head = MaskFormerFusionHead(
        num_things_classes=3, num_stuff_classes=1, test_cfg={"max_per_image": 9}
    )
    model = SimpleNamespace(panoptic_fusion_head=head)
    assert keep_class_scores(model) == "softmax"
    logits_QC1 = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    masks_QHW = torch.where(torch.eye(6)[:, None] > 0, 1.0, -1.0)  # a query is a column
    results = head.instance_postprocess(logits_QC1, masks_QHW)
    queries = results.masks[:, 0].float().argmax(dim=1)
    assert len({*queries.tolist()}) > 3
    torch.testing.assert_close(results.class_scores, logits_QC1.softmax(dim=1)[queries, :4])
