"""Load frames with COCO ground truth and make training batches of them.

Axes: M frames, B frames of a batch, N objects of a frame, H W pixels, C colors (RGB).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.demo.detector.average_precision import category_ids
from orn.shared.errors import DataRootError, ManifestError, VideoDecodeError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.rle import decode
from orn.shared.video.jpeg_folder import opened_jpeg
from orn.stage1_detect.mmdet.library import BitmapMasks, DetDataSample, InstanceData

_LARGEST_GAIN = 0.2  # each channel is multiplied by a factor in [1 - gain, 1 + gain]
_LARGEST_OFFSET = 20.0  # and shifted by at most this, on the scale 0..255


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CocoFrames:
    """Frames of one size and the objects in them."""

    annotations: Path
    """COCO file of the ground truth."""
    image_ids: tuple[int, ...]
    """M image ids in the COCO file."""
    images_MHWC: NDArray[np.uint8]
    """(M, H, W, 3) RGB."""
    objects: tuple[list[dict[str, Any]], ...]
    """Annotations of the classes in each frame."""
    category_ids: tuple[int, ...]
    """Category id of each class in the COCO file."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.image_ids)


def load_coco_frames(
    folder: Path, part: str, class_names: Sequence[str] = COCO_CLASSES
) -> CocoFrames:
    """Load the frames of `folder/part.json` and `folder/frames`, with objects of given classes.

    Raises:
        DataRootError: if a file is missing.
        ManifestError: if frames differ in size, or a class has no category.
    """
    path = folder / f"{part}.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as err:
        raise DataRootError(
            f"{path}: no frames for the demo's detector; generate them with `orn demo world "
            "demo-detector`"
        ) from err
    known = {category["id"] for category in content["categories"]}
    chosen = category_ids(content["categories"], class_names, path)
    objects: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["category_id"] not in known:
            raise ManifestError(
                f"{path}: annotation {annotation.get('id')}: expected the id of a category in the "
                f"file, got {annotation['category_id']}; remove the folder and regenerate it"
            )
        if annotation["category_id"] in chosen:
            objects[annotation["image_id"]].append(annotation)
    return CocoFrames(
        annotations=path,
        image_ids=tuple(objects),
        images_MHWC=_read_images(folder / "frames", content["images"], path),
        objects=tuple(objects.values()),
        category_ids=chosen,
    )


def make_batch(
    frames: CocoFrames,
    indices: Sequence[int],
    *,
    generator: np.random.Generator,
    preprocessor: Any,
) -> tuple[Tensor, list[DetDataSample]]:
    """Return a batch for the loss of MMDetection, with random flips and color jitter.

    Args:
        frames: frames from which to choose.
        indices: indices of the B frames.
        generator: random generator for the augmentation.
        preprocessor: the model's preprocessor, for the mean and standard deviation of colors and
            the divisor of padded heights and widths.

    Returns:
        (B, 3, H, W) float32 normalized images in channels_last memory format, and B samples.
    """
    height, width = frames.images_MHWC.shape[1:3]
    divisor = preprocessor.pad_size_divisor
    padded_hw = (-(-height // divisor) * divisor, -(-width // divisor) * divisor)
    images_BHWC = np.zeros((len(indices), *padded_hw, 3), dtype=np.float32)
    mean_3, std_3 = (
        values.cpu().numpy().reshape(3) for values in (preprocessor.mean, preprocessor.std)
    )
    samples = []
    for row, index in enumerate(indices):
        flip = bool(generator.random() < 0.5)
        image_HWC = frames.images_MHWC[index][:, :: -1 if flip else 1]
        gain_3 = generator.uniform(1 - _LARGEST_GAIN, 1 + _LARGEST_GAIN, 3).astype(np.float32)
        offset = np.float32(generator.uniform(-_LARGEST_OFFSET, _LARGEST_OFFSET))
        recoloured_HWC = np.clip(image_HWC * gain_3 + offset, 0, 255)
        images_BHWC[row, :height, :width] = (recoloured_HWC - mean_3) / std_3
        samples.append(_sample(frames, index, flip=flip, padded_hw=padded_hw))
    return torch.from_numpy(images_BHWC).permute(0, 3, 1, 2), samples


def _sample(
    frames: CocoFrames, index: int, *, flip: bool, padded_hw: tuple[int, int]
) -> DetDataSample:
    height, width = frames.images_MHWC.shape[1:3]
    found = frames.objects[index]
    labels = [frames.category_ids.index(each["category_id"]) for each in found]
    boxes_N4 = np.array([each["bbox"] for each in found], dtype=np.float32).reshape(-1, 4)
    boxes_N4[:, 2:] += boxes_N4[:, :2]  # COCO boxes are x y width height
    masks_NHW = np.zeros((len(found), height, width), dtype=np.uint8)
    for row, each in enumerate(found):
        counts = each["segmentation"]["counts"].encode()
        masks_NHW[row] = decode(counts, height=height, width=width)
    if flip:
        boxes_N4[:, [0, 2]] = width - boxes_N4[:, [2, 0]]
        masks_NHW = np.ascontiguousarray(masks_NHW[:, :, ::-1])
    sample = DetDataSample(
        metainfo={
            "img_shape": (height, width),
            "ori_shape": (height, width),
            "pad_shape": padded_hw,
            "batch_input_shape": padded_hw,
            "scale_factor": (1.0, 1.0),
        }
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes_N4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=BitmapMasks(masks_NHW, height, width).pad(padded_hw),
    )
    return sample


def _read_images(
    folder: Path, entries: list[dict[str, Any]], annotations: Path
) -> NDArray[np.uint8]:
    if not entries:
        raise ManifestError(f"{annotations}: expected at least one image, got none; generate more")
    size = (entries[0]["height"], entries[0]["width"])
    images_MHWC = np.empty((len(entries), *size, 3), dtype=np.uint8)
    for row, entry in enumerate(entries):
        try:
            with opened_jpeg(folder / entry["file_name"]) as picture:
                image_HWC = np.asarray(picture.convert("RGB"))
        except VideoDecodeError as err:
            raise DataRootError(f"{err}; listed in {annotations}") from err
        if image_HWC.shape[:2] != size:
            raise ManifestError(
                f"{folder / entry['file_name']}: expected {size[0]} x {size[1]} pixels as in the "
                f"first image, got {image_HWC.shape[0]} x {image_HWC.shape[1]}"
            )
        images_MHWC[row] = image_HWC
    return images_MHWC
