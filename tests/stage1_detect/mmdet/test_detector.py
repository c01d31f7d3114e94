"""The detector must give what mmdet's own path gives, and the softmax rows besides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from orn.shared.errors import DetectorError
from orn.shared.masks.rle import decode
from orn.stage1_detect.mmdet.detector import MmdetDetector
from orn.stage1_detect.mmdet.model import check_precision, use_float32_of
from tests.stage1_detect.conftest import draw_picture, save_random_weights

pytestmark = pytest.mark.mmdet

THRESHOLD = 0.02

BORDERLINE = 1e-4
"""Share of pixels that may differ where the order of float32 operations does."""


@pytest.fixture(scope="module", params=["demo", "per_class"])
def loaded(load_tiny: Any, request: pytest.FixtureRequest) -> MmdetDetector:
    """A detector with random weights; shared boxes and masks, or those per class."""
    return load_tiny(request.param, score_threshold=THRESHOLD)


def mmdet_predictions(detector: MmdetDetector, images: list[NDArray[np.uint8]]) -> list[Any]:
    """mmdet's own path, `test_step`, masks pasted into full frames."""
    prepared = [detector.prepare(image) for image in images]
    batch = {key: [item[key] for item in prepared] for key in ("inputs", "data_samples")}
    with torch.inference_mode():
        return [sample.pred_instances for sample in detector.model.test_step(batch)]


def test_equals_mmdet(loaded: MmdetDetector, pictures: list[NDArray[np.uint8]]) -> None:
    assert loaded.entry.thresholds["score"] == THRESHOLD
    assert loaded.entry.class_names[0] == "person"
    assert {"torch", "torchvision", "mmdet"} <= loaded.entry.versions.keys()
    expected = mmdet_predictions(loaded, pictures)
    found = loaded.detect(pictures)
    assert sum(len(frame) for frame in found) > 10
    for frame, instances, picture in zip(found, expected, pictures, strict=True):
        height, width = picture.shape[:2]
        assert (frame.height, frame.width) == (height, width)
        limits = torch.tensor([width, height, width, height])
        boxes = torch.minimum(instances.bboxes.clamp(min=0), limits)
        np.testing.assert_array_equal(frame.boxes, boxes.numpy())
        np.testing.assert_array_equal(frame.scores, instances.scores.numpy())
        np.testing.assert_array_equal(frame.labels, instances.labels.numpy())
        full = np.asfortranarray(instances.masks.numpy().transpose(1, 2, 0).astype(np.uint8))
        counts = [mask["counts"] for mask in coco_mask.encode(full)]
        assert list(frame.masks) == counts


def test_class_scores_are_the_softmax_row(
    loaded: MmdetDetector, pictures: list[NDArray[np.uint8]]
) -> None:
    raw = loaded.infer([loaded.prepare(picture) for picture in pictures])
    for found in raw:
        rows = torch.arange(len(found.scores))
        assert torch.equal(found.class_scores[rows, found.labels], found.scores)
        assert found.class_scores.shape[1] == 80
        assert (found.class_scores.sum(dim=1) <= 1 + 1e-6).all()
    # Detections of one proposal share its row; here some proposal gave two classes.
    rows_alike = [len(np.unique(f.class_scores.numpy(), axis=0)) < len(f.scores) for f in raw]
    assert any(rows_alike)


def test_frames_are_prepared_as_mmdet_prepares_files(
    load_tiny: Any, per_class_config: Path, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    from orn.stage1_detect.mmdet.config import read_config, test_pipeline
    from orn.stage1_detect.mmdet.library import Compose

    detector = load_tiny("per_class")
    Image.fromarray(pictures[0]).save(tmp_path / "frame.png")
    steps = test_pipeline(read_config(per_class_config).config)
    steps = [step for step in steps if step["type"] != "LoadAnnotations"]
    expected = Compose(steps)({"img_path": str(tmp_path / "frame.png"), "img_id": 0})
    found = detector.prepare(pictures[0])
    assert torch.equal(found["inputs"], expected["inputs"])
    for key in ("ori_shape", "img_shape", "scale_factor"):
        assert found["data_samples"].metainfo[key] == expected["data_samples"].metainfo[key]


@pytest.mark.parametrize(("height", "width"), [(2, 1000), (1000, 2), (2, 20000)])
def test_frames_that_cannot_be_resized_are_refused(
    loaded: MmdetDetector, height: int, width: int
) -> None:
    with pytest.raises(DetectorError, match=rf"cannot resize a frame of {width} x {height} pixels"):
        loaded.detect([np.zeros((height, width, 3), np.uint8)])


def test_a_batch_gives_what_single_frames_give(
    loaded: MmdetDetector, pictures: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = loaded.detect(pictures)
    seen: list[int] = []
    extract_feat = loaded.model.extract_feat
    monkeypatch.setattr(
        loaded.model, "extract_feat", lambda x: (seen.append(len(x)), extract_feat(x))[1]
    )
    monkeypatch.setattr("orn.stage1_detect.mmdet.detector.MOST_CPU_PIXELS", 2 * 96 * 64)
    parts = loaded.detect(pictures)
    assert seen in ([2, 1], [1, 1, 1])
    for one, other in zip(together, parts, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_no_frames_and_frames_without_detections(
    load_tiny: Any, pictures: list[NDArray[np.uint8]]
) -> None:
    detector = load_tiny("demo", score_threshold=1.0)
    found = detector.detect(pictures)
    assert [len(frame) for frame in found] == [0, 0, 0]
    assert found[0].class_scores is not None and found[0].class_scores.shape == (0, 80)
    assert detector.detect([]) == []


def test_numbers_that_are_none_are_an_error(
    load_tiny: Any, pictures: list[NDArray[np.uint8]]
) -> None:
    detector = load_tiny("demo")
    for part in ("backbone", "rpn_head.rpn_cls", "roi_head.bbox_head.fc_reg", "roi_head.mask_head"):
        weights = next(detector.model.get_submodule(part).parameters())
        before = weights.detach().clone()
        with torch.no_grad():
            weights.fill_(float("nan"))
            (found,) = detector.infer([detector.prepare(pictures[0])])
            weights.copy_(before)
        with pytest.raises(DetectorError, match="expected finite numbers from the network"):
            detector.encode(found)


def test_masks_pasted_beside_the_network_are_the_same(
    loaded: MmdetDetector, pictures: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = loaded.detect(pictures)
    monkeypatch.setattr(loaded, "paste_on_device", True)  # as for a GPU
    raw = loaded.infer([loaded.prepare(picture) for picture in pictures])
    assert all(isinstance(found.masks, tuple) for found in raw)
    found = [loaded.encode(each) for each in raw]
    masks = []
    for frames in (found, expected):
        masks.append([decode(m, height=90, width=130) for frame in frames for m in frame.masks])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    ours, theirs = map(np.array, masks)
    assert theirs.sum() > 1000
    assert (ours != theirs).sum() <= theirs.sum() * BORDERLINE


def test_folded_normalisations_change_last_bits_only(
    load_tiny: Any, demo_config: Path, demo_checkpoint: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    from orn.stage1_detect.mmdet.config import read_config
    from orn.stage1_detect.mmdet.model import build_model, load_weights

    detector = load_tiny()
    plain = build_model(read_config(demo_config)).eval()
    load_weights(plain, demo_checkpoint, config_name="demo")
    norms = [m for m in plain.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    left = [m for m in detector.model.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and not left
    batch = torch.stack([detector.prepare(picture)["inputs"] for picture in pictures]).float()
    with torch.inference_mode():
        for ours, theirs in zip(detector.model.backbone(batch), plain.backbone(batch), strict=True):
            assert theirs.abs().max() > 0
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.max()))


def test_float16_needs_a_gpu(load_tiny: Any) -> None:
    with pytest.raises(
        DetectorError, match=r"fp16 .* requires a CUDA GPU.*'cpu'; use bf16 or fp32"
    ):
        load_tiny(precision="float16")
    assert load_tiny(precision="float16", detects=False).entry.precision == "float16"


PIPELINE = "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), {}]))"
UNPREPARED = "odd: the test pipeline fails on an image"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PIPELINE.format("dict(type='NoSuchStep')"), UNPREPARED),
        (PIPELINE.format("dict(type='Resize', scale='a')"), UNPREPARED),
        (PIPELINE.format("dict(type='PackDetInputs')"), UNPREPARED),
    ],
)
def test_configurations_that_cannot_be_used_are_refused(
    load_tiny: Any, demo_config: Path, tmp_path: Path, settings: str, message: str
) -> None:
    path = tmp_path / "odd.py"
    path.write_text(f"_base_ = {str(demo_config)!r}\n{settings}\n")
    with pytest.raises(DetectorError, match=f"odd: .*{message.removeprefix('odd: ')}"):
        load_tiny(config=path)


def test_names_of_classes_are_those_of_the_weights_else_of_the_config(
    load_tiny: Any, demo_config: Path, tmp_path: Path
) -> None:
    path, weights = tmp_path / "three.py", tmp_path / "three.pth"
    heads = "bbox_head=dict(num_classes=3), mask_head=dict(num_classes=3)"
    own = f"_base_ = {str(demo_config)!r}\nmodel = dict(roi_head=dict({heads}))\n"
    path.write_text(own)
    save_random_weights(path, weights)
    with pytest.raises(
        DetectorError, match=r"three: .* its 3 classes, got 80 names, starting with 'person'"
    ):
        load_tiny(config=path, checkpoint=weights)
    names = "dict(metainfo=dict(classes=('pan', 'pot', 'lid')))"
    path.write_text(f"{own}test_dataloader = dict(dataset={names})\n")
    assert load_tiny(config=path, checkpoint=weights).entry.class_names == ("pan", "pot", "lid")
    content = {"state_dict": torch.load(weights), "meta": {"CLASSES": ["a", "b", "c"]}}
    torch.save(content, weights)
    detector = load_tiny(config=path, checkpoint=weights)
    assert detector.entry.class_names == ("a", "b", "c")
    found = detector.detect([draw_picture(0)])[0]
    assert len(found) and found.class_scores.shape == (len(found), 3)


@pytest.fixture
def tf32() -> Iterator[tuple[Any, ...]]:
    """The flags, turned on, and afterwards as they were."""
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [each.allow_tf32 for each in flags]
    for each in flags:
        each.allow_tf32 = True
    yield flags
    for each, value in zip(flags, before, strict=True):
        each.allow_tf32 = value


def test_tf32_is_a_precision_and_else_off(load_tiny: Any, tf32: tuple[Any, ...]) -> None:
    load_tiny()
    assert [each.allow_tf32 for each in tf32] == [False, False]
    for precision, is_wanted in (("tfloat32", True), ("float16-heads", False)):
        use_float32_of(precision)
        assert [each.allow_tf32 for each in tf32] == [is_wanted, is_wanted]
        with pytest.raises(DetectorError, match=rf"\({precision}\) requires a CUDA GPU"):
            check_precision(precision, torch.device("cpu"))
