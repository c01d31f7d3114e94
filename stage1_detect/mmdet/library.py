"""Import the names from mmdet, mmcv and mmengine that the adapter uses.

They must be imported after mmcv's compiled module is replaced. The other files of this package
import them from here.
"""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from orn.stage1_detect.mmdet.torchvision_ops import install

install()

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mmcv.transforms import Compose
    from mmdet.models.dense_heads import RTMDetInsHead, SOLOHead, SOLOV2Head
    from mmdet.models.layers import multiclass_nms
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead
    from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead
    from mmdet.registry import DATASETS, MODELS
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.config import config as config_module
    from mmengine.logging import MMLogger
    from mmengine.structures import InstanceData


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

__all__ = [
    "BBoxHead",
    "BitmapMasks",
    "Compose",
    "Config",
    "DATASETS",
    "DetDataSample",
    "FCNMaskHead",
    "InstanceData",
    "MMLogger",
    "MODELS",
    "MaskFormerFusionHead",
    "RTMDetInsHead",
    "SOLOHead",
    "SOLOV2Head",
    "Segmenter",
    "multiclass_nms",
    "register_all_modules",
]
