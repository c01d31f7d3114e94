"""A tiny Mask R-CNN with random weights that finds things, and frames to find them in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections, clip_boxes
from orn.shared.masks.rle import encode
from orn.shared.shards.schema import DetectorEntry
from tests.weights_server import WeightsServer

DEMO_CONFIG = Path(__file__).parents[2] / "demo" / "detector" / "mask_rcnn_demo.py"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small networks are fastest on one thread, and the other core may be busy."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def demo_config() -> Path:
    """The demo detector's config file."""
    return DEMO_CONFIG


@pytest.fixture(scope="session")
def per_class_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config with boxes and masks per class, as the default detector has them; BGR, 96 x 64."""
    path = tmp_path_factory.mktemp("config") / "per_class.py"
    path.write_text(
        f"_base_ = {str(DEMO_CONFIG)!r}\n"
        "model = dict(\n"
        "    data_preprocessor=dict(bgr_to_rgb=False, mean=[103.5, 116.3, 123.7]),\n"
        "    roi_head=dict(\n"
        "        bbox_head=dict(reg_class_agnostic=False), mask_head=dict(class_agnostic=False)\n"
        "    ),\n"
        ")\n"
        "test_pipeline = [\n"
        "    dict(type='LoadImageFromFile'),\n"
        "    dict(type='Resize', scale=(96, 64), keep_ratio=True),\n"
        "    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),\n"
        "    dict(type='PackDetInputs', meta_keys=('ori_shape', 'img_shape', 'scale_factor')),\n"
        "]\n"
        "test_dataloader = dict(dataset=dict(pipeline=test_pipeline))\n"
    )
    return path


def save_random_weights(config: Path, path: Path) -> Path:
    """Writes weights that make the config's detector find many objects of several classes."""
    import torch

    from orn.stage1_detect.mmdet.config import read_config
    from orn.stage1_detect.mmdet.model import build_model

    torch.manual_seed(1)
    model = build_model(read_config(config), initialise=True)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, gain in (("fc_cls", 0.3), ("fc_reg", 0.2)):
            weight = getattr(model.roi_head.bbox_head, name).weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * gain)
        logits = model.roi_head.mask_head.conv_logits.weight
        logits.copy_(torch.randn(logits.shape, generator=generator) * 3)
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def demo_checkpoint(tmp_path_factory: pytest.TempPathFactory, demo_config: Path) -> Path:
    """Random weights for the demo's config."""
    return save_random_weights(demo_config, tmp_path_factory.mktemp("weights") / "demo.pth")


@pytest.fixture(scope="session")
def per_class_checkpoint(tmp_path_factory: pytest.TempPathFactory, per_class_config: Path) -> Path:
    """Random weights for the config with boxes and masks per class."""
    return save_random_weights(per_class_config, tmp_path_factory.mktemp("weights") / "per.pth")


@pytest.fixture
def published_config(
    demo_config: Path, demo_checkpoint: Path, weights_host: WeightsServer, tmp_path: Path
) -> Path:
    """The demo's config, with a metafile beside it that says where the host has its weights."""
    return weights_host.publish_detector(demo_config, demo_checkpoint, folder=tmp_path / "zoo")


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    """Three frames of 90 x 130 with coloured rectangles on noise."""
    return [draw_picture(seed) for seed in range(3)]


def draw_picture(seed: int, height: int = 90, width: int = 130) -> NDArray[Any]:
    """(height, width, 3) uint8 RGB, six coloured rectangles on noise."""
    generator = np.random.default_rng(seed)
    image = generator.integers(80, 140, (height, width, 3))
    for _ in range(6):
        x, y = generator.integers(0, width - 20), generator.integers(0, height - 20)
        w, h = generator.integers(10, 50, 2)
        image[y : y + h, x : x + w] = generator.integers(0, 256, 3)
    return image.astype(np.uint8)


class FakeDetector:
    """A detector that finds one object a frame and tells the frame's grey level as its score.

    `batches` keeps the sizes of the batches seen; `fail_at` raises at that batch, from 0.
    """

    def __init__(self, *, fail_at: int | None = None, class_scores: float = 1 / 128) -> None:
        self.batches: list[int] = []
        self._fail_at = fail_at
        self._class_score = class_scores

    @property
    def entry(self) -> DetectorEntry:
        return DetectorEntry(
            config_name="fake",
            config_digest="sha256:0",
            checkpoint_digest="sha256:1",
            thresholds={"score": 0.0},
            class_names=COCO_CLASSES,
        )

    def prepare(self, image_HWC: NDArray[np.uint8]) -> tuple[int, int, float]:
        return image_HWC.shape[0], image_HWC.shape[1], float(image_HWC.mean())

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        if len(self.batches) == self._fail_at:
            raise RuntimeError("the network broke")
        self.batches.append(len(prepared))
        return prepared

    def encode(self, found: tuple[int, int, float]) -> FrameDetections:
        height, width, grey = found
        mask_HW = np.zeros((height, width), dtype=np.bool_)
        mask_HW[1:3, 2:6] = True
        box = np.array([[2, 1, 6, 3]], dtype=np.float32)
        return FrameDetections(
            height=height,
            width=width,
            boxes=clip_boxes(box, height=height, width=width),
            scores=np.array([grey / 255], dtype=np.float32),
            labels=np.array([7], dtype=np.uint8),
            class_scores=np.full((1, 80), self._class_score, dtype=np.float16),
            masks=(encode(mask_HW),),
        )


GREY_STEP = 10
"""Frame i of a made video has grey level GREY_STEP * (i + 1), modulo 250."""


def write_video(path: Path, num_frames: int, *, height: int = 48, width: int = 64) -> Path:
    """An MPEG-4 file at 10 frames/s whose frames tell their number by their grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(num_frames):
            grey = grey_of(index)
            image = np.full((height, width, 3), grey, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def grey_of(index: int) -> int:
    """Grey level of frame `index` of a made video."""
    return GREY_STEP * (index + 1) % 250


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """As `make_world` makes it."""
    return make_world(tmp_path)


def make_world(folder: Path) -> Path:
    """A manifest with three videos of 5, 12 and 0 readable frames, in a data root; one is missing.

    Returns the manifest's file; the data root is its folder's `data`.
    """
    videos = folder / "data" / "small" / "videos"
    write_video(videos / "a.mp4", 5)
    write_video(videos / "b.mp4", 12)
    (videos / "broken.mp4").write_bytes(b"no video at all")
    (videos.parent / "classes.txt").write_text("push\npull\n")
    (videos.parent / "labels.csv").write_text(
        "video,label,split\na,push,train\nb,pull,train\nbroken,push,train\nlost,pull,test\n"
    )
    manifest = folder / "small.toml"
    manifest.write_text(
        'name = "small"\ntitle = "Small"\nform = "clips"\ntask = "single-label"\nmetric = "top1"\n'
        'clip_frames = 4\nroot = "small"\n[videos]\npattern = "videos/{id}.mp4"\n'
        '[labels]\nformat = "table"\ntable = "labels.csv"\nclasses = "classes.txt"\n'
        '[split]\nrule = "column"\ncolumn = "split"\n'
    )
    return manifest
