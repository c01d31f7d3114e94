"""A small COCO data set of coloured shapes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.rle import encode
from tests.conftest import ROOT

HEIGHT, WIDTH = 60, 80


def write_coco(folder: Path, part: str, num_frames: int, seed: int) -> None:
    """Frames with up to three rectangles, the last frame with none."""
    generator = np.random.default_rng(seed)
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(num_frames):
        image_HWC = generator.integers(90, 130, (HEIGHT, WIDTH, 3))
        name = f"{part}_{number}.jpg"
        images.append({"id": number + 1, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for _ in range(0 if number == num_frames - 1 else generator.integers(1, 4)):
            w, h = (int(v) for v in generator.integers(12, 30, 2))
            x, y = int(generator.integers(0, WIDTH - w)), int(generator.integers(0, HEIGHT - h))
            mask_HW = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
            mask_HW[y : y + h, x : x + w] = True
            category = int(generator.choice([1, 40, 80]))
            image_HWC[mask_HW] = (category * 3, 255 - category * 3, 40)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "segmentation": {"size": [HEIGHT, WIDTH], "counts": encode(mask_HW).decode()},
                }
            )
        Image.fromarray(image_HWC.astype(np.uint8)).save(folder / "frames" / name)
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(COCO_CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / f"{part}.json").write_text(json.dumps(content))


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    """`train` of six frames, `validation` of three."""
    folder = tmp_path / "demo-detector"
    write_coco(folder, "train", 6, seed=0)
    write_coco(folder, "validation", 3, seed=1)
    return folder


@pytest.fixture(scope="session")
def demo_config() -> Path:
    """The demo detector's config file."""
    return ROOT / "demo" / "detector" / "mask_rcnn_demo.py"
