"""Replace mmcv's compiled module `mmcv._ext` with torchvision's operators. `mmcv-lite` contains the
Python code of mmcv's operators but not the compiled code. torchvision provides the operators of
Mask R-CNN (nms, roi_align) and deformable convolutions for CPU and CUDA, so that no compiler is
needed. All other operators raise an error that contains their name. If mmcv is compiled, its
operators are used instead.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d  # also registers torch.ops.torchvision

from orn.shared.errors import DetectorError

_MODULE = "mmcv._ext"
_install_lock = threading.Lock()
_GET_COMPILED = (
    "install a compiled mmcv: pip uninstall mmcv-lite && pip install openmim && "
    "mim install 'mmcv>=2.1,<2.2'"
)
_POOL_AVERAGE = 1  # mmcv's code for pool_mode="avg"; 0 is "max"


def install() -> bool:
    """Install the replacement unless mmcv is compiled; return whether it is in use.

    Must be called before MMDetection is imported; further calls have no effect.

    Raises:
        DetectorError: if neither mmcv nor mmcv-lite is installed.
    """
    with _install_lock:
        present = sys.modules.get(_MODULE)
        if present is not None:
            return isinstance(present, _TorchvisionExtension)
        try:
            spec = importlib.util.find_spec(_MODULE)
        except ModuleNotFoundError as err:
            raise DetectorError(
                "the detector requires the package mmcv; install it with:  pip install "
                "mmcv-lite==2.1.0"
            ) from err
        if spec is not None:
            return False
        sys.modules[_MODULE] = _TorchvisionExtension()
        return True


def nms(boxes: Tensor, scores: Tensor, *, iou_threshold: float, offset: int) -> Tensor:
    """Return the (M,) int64 indices of boxes after non-maximum suppression, by decreasing score.

    Args:
        boxes: (N, 4) float, x1 y1 x2 y2.
        scores: (N,) float.
        iou_threshold: IoU with a better box above which a box is dropped.
        offset: 0 for half-open boxes; 1 if x2 and y2 are inclusive (width = x2 - x1 + 1).
    """
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torch.ops.torchvision.nms(boxes, scores, float(iou_threshold))


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the average of bilinear samples in each bin of each region to `output`; its gradient is
    not supported.

    Args:
        features: (B, C, h, w) float.
        rois: (N, 5) float, image index and x1 y1 x2 y2 in image pixels.
        output: (N, C, aligned_height, aligned_width), written in place.
        argmax_y: unused, for maximum pooling only.
        argmax_x: unused, for maximum pooling only.
        aligned_height: number of bins per region, vertically.
        aligned_width: number of bins per region, horizontally.
        spatial_scale: feature cells per image pixel.
        sampling_ratio: samples per bin in each direction; 0: depending on the region's size.
        pool_mode: 1 for the average; 0 (the maximum) is not supported.
        aligned: whether pixel centers lie at half cells (False for legacy models only).
    """
    if pool_mode != _POOL_AVERAGE:
        raise DetectorError(
            f"roi_align: expected pool_mode {_POOL_AVERAGE} (average), got {pool_mode} (maximum), "
            f"which torchvision lacks; set pool_mode='avg' in the config, or {_GET_COMPILED}"
        )
    output.copy_(
        torch.ops.torchvision.roi_align(
            features,
            rois.to(features.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    **sizes: int,
) -> None:
    """Write a deformable convolution to `output`; its gradient is not supported.

    Args:
        features: (B, C, h, w) float.
        weight: (D, C / groups, kH, kW).
        offset: (B, 2 * offset groups * kH * kW, h', w'), y before x.
        output: (B, D, h', w'), written in place.
        columns: unused, like `ones`.
        dW, dH, padW, padH, dilationW, dilationH: stride, padding and dilation.
        sizes: unused, derived from the shapes.
    """
    output.copy_(
        deform_conv2d(
            features,
            offset,
            weight,
            stride=(dH, dW),
            padding=(padH, padW),
            dilation=(dilationH, dilationW),
        )
    )


def modulated_deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    *,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    with_bias: bool,
    **sizes: int,
) -> None:
    """Run `deform_conv_forward` with samples weighted by a mask.

    The shape of `mask` is (B, offset groups * kH * kW, h', w').
    """
    output.copy_(
        deform_conv2d(
            features,
            offset,
            weight,
            bias if with_bias else None,
            stride=(stride_h, stride_w),
            padding=(pad_h, pad_w),
            dilation=(dilation_h, dilation_w),
            mask=mask,
        )
    )


def ms_deform_attn_forward(
    value: Tensor,
    shapes: Tensor,
    level_start_index: Tensor,
    locations: Tensor,
    weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Run multi-scale deformable attention with mmcv's PyTorch code."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)


def _missing_operator(name: str) -> Callable[..., Any]:
    """Return a substitute for an operator that raises DetectorError when called."""

    def operator(*args: Any, **kwargs: Any) -> Any:
        raise DetectorError(
            f"mmcv operator {name!r}: requires a compiled mmcv, since mmcv-lite lacks this "
            f"operator; use a config without it, or {_GET_COMPILED}"
        )

    operator.__name__ = name
    return operator


class _TorchvisionExtension(types.ModuleType):
    """The module `mmcv._ext`; operators that are not defined here raise when called."""

    def __init__(self) -> None:
        super().__init__(_MODULE, __doc__)
        # importlib and pkgutil require modules in sys.modules to have a spec and a loader.
        self.__spec__ = importlib.machinery.ModuleSpec(_MODULE, _InPlace(), origin=__file__)
        self.__loader__ = self.__spec__.loader
        self.nms = nms
        self.roi_align_forward = roi_align_forward
        self.deform_conv_forward = deform_conv_forward
        self.modulated_deform_conv_forward = modulated_deform_conv_forward
        self.ms_deform_attn_forward = ms_deform_attn_forward

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(f"module {_MODULE!r} has no attribute {name!r}")
        return _missing_operator(name)


class _InPlace(importlib.abc.Loader):
    """The loader of a module that is already in sys.modules."""
