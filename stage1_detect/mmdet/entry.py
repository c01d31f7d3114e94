"""What shards record about the detector that made them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from shared.masks.coco_classes import COCO_CLASSES
from shared.shards.schema import DetectorEntry
from stage1_detect.mmdet.config import DetectorConfig
from stage1_detect.mmdet.library import MaskRCNN
from stage1_detect.mmdet.precision import Precision

__all__ = ["detector_entry", "library_versions"]


def detector_entry(
    detector: DetectorConfig,
    model: MaskRCNN,
    *,
    checkpoint_digest: str,
    precision: Precision = "float32",
) -> DetectorEntry:
    """What shards record about a model and the settings that it runs with."""
    settings = model.roi_head.test_cfg
    return DetectorEntry(
        config_name=detector.name,
        config_digest=detector.digest,
        checkpoint_digest=checkpoint_digest,
        precision=precision,
        thresholds={
            "score": float(settings.score_thr),
            "nms_iou": float(settings.nms.iou_threshold),
            "max_per_image": float(settings.max_per_img),
            "mask": float(settings.mask_thr_binary),
        },
        versions=library_versions(),
        class_names=COCO_CLASSES,
    )


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the results."""
    found = {}
    for name in ("torch", "torchvision", "mmdet", "mmengine", "mmcv", "mmcv-lite", "av"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
