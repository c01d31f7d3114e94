"""A tiny Mask R-CNN with random weights that finds things, and frames to find them in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.weights_server import WeightsServer
from tests.worlds.tables import small_videos

DEMO_CONFIG = Path(__file__).parents[2] / "orn" / "demo" / "detector" / "mask_rcnn_demo.py"


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

    from orn.stage1_detect.mmdet.model import build_model, read_config

    torch.manual_seed(1)
    model = build_model(read_config(config), initialize=True)
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
def tiny_files(
    demo_config: Path, demo_checkpoint: Path, per_class_config: Path
) -> dict[str, dict[str, Path]]:
    """Config and weights of the detectors `demo` and `per_class`."""
    own = save_random_weights(per_class_config, demo_checkpoint.with_name("per_class.pth"))
    return {
        "demo": {"config": demo_config, "checkpoint": demo_checkpoint},
        "per_class": {"config": per_class_config, "checkpoint": own},
    }


@pytest.fixture(scope="session")
def load_tiny(tiny_files: dict[str, dict[str, Path]]) -> Callable[..., Any]:
    """`load_tiny(name, **options)`: the detector `demo` or `per_class` on the CPU, with
    random weights that find many objects."""

    def load(name: str = "demo", **options: Any) -> Any:
        from orn.stage1_detect.mmdet.detector import load_detector

        usual = {"device": "cpu", "score_threshold": 0.02, **tiny_files[name]}
        return load_detector(**usual | options)

    return load


@pytest.fixture
def published_config(
    demo_config: Path, demo_checkpoint: Path, weights_host: WeightsServer, tmp_path: Path
) -> Path:
    """The demo's config, with a metafile beside it that says where the host has its weights."""
    return weights_host.publish_detector(demo_config, demo_checkpoint, folder=tmp_path / "zoo")


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    """Three frames of 90 x 130 with colored rectangles on noise."""
    return [draw_picture(seed) for seed in range(3)]


def draw_picture(seed: int, height: int = 90, width: int = 130) -> NDArray[Any]:
    """(height, width, 3) uint8 RGB, six colored rectangles on noise."""
    generator = np.random.default_rng(seed)
    image = generator.integers(80, 140, (height, width, 3))
    for _ in range(6):
        x, y = generator.integers(0, width - 20), generator.integers(0, height - 20)
        w, h = generator.integers(10, 50, 2)
        image[y : y + h, x : x + w] = generator.integers(0, 256, 3)
    return image.astype(np.uint8)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """As `small_videos` makes it."""
    return small_videos(tmp_path)
