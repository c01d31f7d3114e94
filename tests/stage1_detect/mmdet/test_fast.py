"""The fast path must find what the other path finds, which is what mmdet finds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from orn.shared.errors import DetectorError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rle import decode
from orn.stage1_detect.mmdet.batched import resize_as_cv2
from orn.stage1_detect.mmdet.first_stage import Repeated

pytestmark = pytest.mark.mmdet

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize(
    ("frame_hw", "resized_hw"),
    [
        pytest.param((72, 128), (75, 133), id="a little larger"),
        pytest.param((90, 130), (64, 92), id="smaller"),
        pytest.param((64, 48), (32, 24), id="half"),
        pytest.param((37, 41), (80, 77), id="odd"),
        pytest.param((20, 30), (20, 30), id="as it is"),
        pytest.param((1, 1), (5, 7), id="one pixel"),
    ],
)
def test_frames_are_resized_as_opencv_does(
    frame_hw: tuple[int, int], resized_hw: tuple[int, int]
) -> None:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (2, *frame_hw, 3), dtype=np.uint8)
    found = resize_as_cv2(torch.from_numpy(frames), *resized_hw).numpy()
    for ours, frame in zip(found, frames, strict=True):
        np.testing.assert_array_equal(ours, cv2.resize(frame, resized_hw[::-1]))


def assert_same(ours: list[FrameDetections], theirs: list[FrameDetections]) -> None:
    assert sum(map(len, theirs)) > 10
    for one, other in zip(ours, theirs, strict=True):
        assert (one.height, one.width) == (other.height, other.width)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.class_scores, other.class_scores)
        assert one.masks == other.masks


@pytest.mark.parametrize("name", ["demo", "per_class"])
def test_a_batch_is_found_as_by_the_other_path(
    load_tiny: Any, name: str, pictures: list[NDArray[np.uint8]]
) -> None:
    fast, exact = load_tiny(name, fast=True), load_tiny(name)
    assert fast.entry.versions == exact.entry.versions | {"fast_path": "1"}
    assert fast.entry.precision == exact.entry.precision == "float32"
    assert_same(fast.detect(pictures), exact.detect(pictures))


@pytest.mark.parametrize("limit", ["rpn=dict(max_per_img=7)", "rcnn=dict(max_per_img=3)"])
def test_limits_hold_for_each_frame(
    load_tiny: Any, demo_config: Path, pictures: list[NDArray[np.uint8]], tmp_path: Path, limit: str
) -> None:
    path = tmp_path / "limited.py"
    path.write_text(f"_base_ = {str(demo_config)!r}\nmodel = dict(test_cfg=dict({limit}))\n")
    frames = [*pictures, np.zeros_like(pictures[0])]
    ours, theirs = (
        load_tiny(config=path, fast=fast, score_threshold=0.001).detect(frames)
        for fast in (True, False)
    )
    assert [len(each) for each in ours] == [len(each) for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


@pytest.mark.parametrize("fast", [False, True])
def test_no_frames_and_frames_without_detections(
    load_tiny: Any, pictures: list[NDArray[np.uint8]], fast: bool
) -> None:
    detector = load_tiny("demo", fast=fast, score_threshold=1.0)
    found = detector.detect(pictures)
    assert [len(frame) for frame in found] == [0, 0, 0]
    assert found[0].class_scores is not None and found[0].class_scores.shape == (0, 80)
    assert detector.detect([]) == []


@pytest.mark.parametrize("fast", [False, True])
def test_numbers_that_are_none_are_an_error(
    load_tiny: Any, pictures: list[NDArray[np.uint8]], fast: bool
) -> None:
    detector = load_tiny("demo", fast=fast)
    model = detector.exact.model if fast else detector.model
    for part in ("backbone", "rpn_head.rpn_cls", "roi_head.bbox_head.fc_reg", "roi_head.mask_head"):
        weights = next(model.get_submodule(part).parameters())
        before = weights.detach().clone()
        with torch.no_grad():
            weights.fill_(float("nan"))
            (found,) = detector.infer([detector.prepare(pictures[0])])
            weights.copy_(before)
        with pytest.raises(DetectorError, match="expected finite numbers from the network"):
            detector.encode(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "model = dict(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))))",
            r"expected model.test_cfg.rcnn.nms of type 'nms' .*; omit --fast",
        ),
        (
            "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), "
            "dict(type='Resize', scale=(96, 64), interpolation='nearest'), "
            "dict(type='PackDetInputs', "
            "meta_keys=('ori_shape', 'img_shape', 'scale_factor'))]))",
            r"only resizes frames, .*; omit --fast",
        ),
    ],
)
def test_what_it_does_not_compute_is_refused(
    load_tiny: Any, demo_config: Path, tmp_path: Path, settings: str, message: str
) -> None:
    path = tmp_path / "other.py"
    path.write_text(f"_base_ = {str(demo_config)!r}\n{settings}\n")
    with pytest.raises(DetectorError, match=message):
        load_tiny(config=path, fast=True)


@pytest.mark.parametrize("fast", [False, True])
def test_half_precision_reaches_the_heads(
    load_tiny: Any, pictures: list[NDArray[np.uint8]], fast: bool
) -> None:
    """Of one backbone in bfloat16, boxes move a little with the heads; all stay float32."""
    found = {}
    for precision in ("float32", "bfloat16", "bfloat16-heads"):
        detector = load_tiny("demo", fast=fast, precision=precision)
        assert detector.entry.precision == precision
        (found[precision],) = detector.detect(pictures[:1])
    full, low, lower = found.values()
    for one, other in ((full, low), (low, lower)):
        assert one.boxes.dtype == other.boxes.dtype == np.float32
        assert not np.array_equal(one.scores[:5], other.scores[:5])
        np.testing.assert_allclose(one.scores[:3], other.scores[:3], atol=0.05)


def test_a_size_that_repeats_is_recorded_once() -> None:
    computed: list[str] = []

    def compute(inputs: Any) -> Any:
        computed.append("computed")
        return inputs

    def capture(compute: Any, example: torch.Tensor) -> Any:
        if example.shape[0] == 3:
            raise RuntimeError("no memory")
        computed.append(f"recorded {len(example)}")
        return lambda inputs: computed.append("replayed") or inputs

    repeated: Any = Repeated(compute, capture)
    for _ in range(4):
        assert repeated(torch.zeros(2)) is not None
    assert computed == ["computed", "computed", "recorded 2", "replayed", "replayed"]
    computed.clear()
    for _ in range(4):
        repeated(torch.zeros(3))
    assert computed == ["computed"] * 4
    computed.clear()
    for size in range(4, 9):
        for _ in range(3):
            repeated(torch.zeros(size))
    assert computed.count("replayed") == 2  # four sizes are kept, two were there


@NEEDS_GPU
@pytest.mark.parametrize("name", ["demo", "per_class"])
def test_a_gpu_finds_the_same_with_a_recorded_graph(
    load_tiny: Any, name: str, pictures: list[NDArray[np.uint8]]
) -> None:
    expected = load_tiny(name).detect(pictures)
    detector = load_tiny(name, fast=True, device="cuda")
    for _ in range(5):  # eager, recorded and replayed
        found = detector.detect(pictures)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.labels, other.labels)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
            shape = {"height": one.height, "width": one.width}
            ours, theirs = (
                np.array([decode(mask, **shape) for mask in each.masks]) for each in (one, other)
            )
            assert (ours != theirs).sum() <= 1e-3 * theirs.sum() + 1
