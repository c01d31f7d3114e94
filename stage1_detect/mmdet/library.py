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
    from mmcv.transforms import Compose as Compose
    from mmdet.models.dense_heads import RTMDetInsHead as RTMDetInsHead
    from mmdet.models.layers import multiclass_nms as multiclass_nms
    from mmdet.models.roi_heads.bbox_heads import BBoxHead as BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead as FCNMaskHead
    from mmdet.models.seg_heads.panoptic_fusion_heads import (
        MaskFormerFusionHead as MaskFormerFusionHead,
    )
    from mmdet.registry import DATASETS as DATASETS
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
