"""Read configs of instance segmentation models from MMDetection, build them, and load weights.

Names from mmdet, mmcv and mmengine are imported here, after mmcv's compiled module is replaced. The
other files of this package import them from here.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import torch

from orn.shared.data_files import text_digest
from orn.shared.environment import installed_versions
from orn.shared.errors import DetectorError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.text import counted
from orn.stage1_detect.mmdet.torchvision_ops import install
from orn.stage1_detect.mmdet.zoo import find_config

install()

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mmcv.transforms import Compose as Compose
    from mmdet.models.dense_heads import RTMDetInsHead as RTMDetInsHead
    from mmdet.models.layers import multiclass_nms as multiclass_nms
    from mmdet.models.roi_heads.bbox_heads import BBoxHead as BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead as FCNMaskHead
    from mmdet.models.seg_heads.panoptic_fusion_heads import (
        MaskFormerFusionHead as MaskFormerFusionHead,
    )
    from mmdet.registry import MODELS as MODELS
    from mmdet.structures import DetDataSample as DetDataSample
    from mmdet.structures.mask import BitmapMasks as BitmapMasks
    from mmdet.utils import register_all_modules as register_all_modules
    from mmengine.config import Config as Config
    from mmengine.config import config as config_module
    from mmengine.logging import MMLogger as MMLogger
    from mmengine.structures import InstanceData as InstanceData


def _folder_of(package: str) -> str:
    """Return the folder of an installed package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {package!r} is not installed")
    return str(Path(spec.origin).parent)


# mmengine finds the package of `_base_ = 'mmdet::...'` with pkg_resources, which setuptools lacks
# since version 82.
config_module.get_installed_path = _folder_of
config_module.is_installed = lambda package: find_spec(package) is not None

Segmenter: TypeAlias = Any
"""Any instance segmentation model of MMDetection, an nn.Module; models built from configs have no
static types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """A config merged with its base files."""

    name: str
    """Name of the file, without its suffix."""
    path: Path
    """The file."""
    config: Config
    """The config as mmengine's type."""
    digest: str
    """"sha256:..." of the model and the test pipeline."""


def read_config(name_or_file: str | Path) -> DetectorConfig:
    """Read a config from a file, or from MMDetection's model zoo by name."""
    path = find_config(name_or_file)
    try:
        config = Config.fromfile(str(path))
    except (Exception, SystemExit) as err:  # a config is code and can raise any exception
        raise DetectorError(f"detector config {path}: cannot be read: {error_text(err)}") from err
    for key in ("model", "test_dataloader"):
        if not isinstance(config.get(key), dict):
            raise DetectorError(
                f"detector config {path}: expected a dict as {key}, got {config.get(key)!r:.80}; "
                "pass an MMDetection config"
            )
    try:
        test_pipeline(config)
    except DetectorError as err:
        raise DetectorError(f"detector config {path}: {err}") from err
    return DetectorConfig(name=path.stem, path=path, config=config, digest=_digest(config))


def test_pipeline(config: Config) -> list[dict[str, Any]]:
    """Return the steps in a config's test pipeline, the first of which must load an image."""
    dataset = config.test_dataloader.get("dataset")
    while isinstance(dataset, dict) and "pipeline" not in dataset:  # wrappers such as RepeatDataset
        dataset = dataset.get("dataset")
    steps = dataset["pipeline"] if isinstance(dataset, dict) else None
    listed = steps if isinstance(steps, list | tuple) else []
    are_steps = all(isinstance(s, dict) and isinstance(s.get("type"), str) for s in listed)
    if not listed or not are_steps or "LoadImage" not in listed[0]["type"]:
        raise DetectorError(
            "expected a test_dataloader.dataset.pipeline whose first step loads an image, such as "
            f"LoadImageFromFile, got {steps!r:.80}"
        )
    return [dict(step) for step in listed]


def error_text(err: BaseException) -> str:
    """Return the message of an error on one line, with its type if the message is short."""
    text = " ".join(str(err).split())
    return text if len(text.split()) > 2 else f"{type(err).__name__} {text}".strip()


def _digest(config: Config) -> str:
    relevant = {"model": config.model.to_dict(), "test_pipeline": test_pipeline(config)}
    return text_digest(json.dumps(relevant, sort_keys=True, default=str))


def build_model(detector: DetectorConfig, *, initialize: bool = False) -> Segmenter:
    """Build a model on the CPU, without pretrained weights.

    Args:
        detector: config of the model.
        initialize: whether to initialize the weights for training, with torch's global generator.

    Raises:
        DetectorError: if MMDetection cannot build the model, or it does not predict masks.
    """
    settings = detector.config.model.copy()
    if settings.get("backbone", {}).get("init_cfg"):
        settings.backbone.init_cfg = None  # do not download weights: the checkpoint contains them
    if settings.get("data_preprocessor"):
        settings.data_preprocessor.non_blocking = True  # on a GPU, frames are in pinned memory
    with quiet():
        register_all_modules(init_default_scope=True)
        try:
            model = MODELS.build(settings)
        except Exception as err:  # a config can make MMDetection raise any exception
            raise DetectorError(
                f"detector config {detector.name}: MMDetection cannot build the model: "
                f"{error_text(err)}; correct the config"
            ) from err
        if initialize:
            model.init_weights()
    _check_masks(model, detector.name)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress output and warnings of mmengine and MMDetection.

    Their log records of level WARNING and above are passed to this project's log.
    """
    MMLogger.get_current_instance().handlers = [_ToOurLog(logging.WARNING)]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _ToOurLog(logging.Handler):
    """Forwards records, because mmengine's logger is outside the hierarchy of `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger("mmengine").handle(record)


def class_head(model: Segmenter) -> Any:
    """Return the classification head of a model, or of its last stage."""
    roi_head = getattr(model, "roi_head", None)
    heads = [getattr(model, name, None) for name in ("panoptic_fusion_head", "bbox_head")]
    heads = [getattr(roi_head, "bbox_head", None), *heads, getattr(model, "mask_head", None)]
    head = next((head for head in heads if head is not None), None)
    return head[-1] if isinstance(head, torch.nn.ModuleList) else head


def set_score_threshold(model: Segmenter, score_threshold: float) -> None:
    """Make a model drop detections below a score before it predicts their masks."""
    for name in ("roi_head", "bbox_head", "mask_head"):
        settings: Any = getattr(getattr(model, name, None), "test_cfg", None)
        if settings and "score_thr" in settings:
            settings.score_thr = score_threshold


def names_of_classes(
    model: Segmenter, detector: DetectorConfig, stored: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Return the class names that are stored with the weights, else COCO's.

    Raises:
        DetectorError: if their number differs from the model's number of classes.
    """
    names = stored or COCO_CLASSES
    num_classes = class_head(model).num_classes
    if len(names) != num_classes:
        raise DetectorError(
            f"detector config {detector.name}: expected the names of its "
            f"{counted(num_classes, 'class', 'classes')}, got {len(names)} names, starting with "
            f"{names[0]!r}; store them in the checkpoint as meta.dataset_meta.classes"
        )
    return names


def _check_masks(model: Segmenter, name: str) -> None:
    """Check that a model predicts object masks."""
    fusion = getattr(model, "panoptic_fusion_head", None)
    if fusion is not None and not fusion.test_cfg.get("instance_on"):
        raise DetectorError(
            f"detector config {name}: expected instance masks, got a panoptic model without them; "
            "set model.test_cfg.instance_on = True in your own config"
        )
    has_masks = model.with_mask or hasattr(getattr(model, "bbox_head", None), "mask_head")
    if fusion is None and not has_masks:
        raise DetectorError(
            f"detector config {name}: expected an instance segmentation model, got "
            f"{type(model).__name__}, which predicts boxes without masks; use a model with masks, "
            "such as mask-rcnn_* or rtmdet-ins_*, or store its boxes with "
            "orn.shared.masks.detections.FrameDetections.from_boxes"
        )


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that affect the results."""
    names = ("torch", "torchvision", "mmdet", "mmengine", "mmcv", "mmcv-lite", "av")
    return installed_versions(*names)
