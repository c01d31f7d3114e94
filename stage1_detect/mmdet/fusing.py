"""Batch normalisations of the backbone, folded into the convolutions before them.

In evaluation a batch normalisation is a fixed factor and offset per channel, so the convolution can
apply it at no cost. Results differ in their last bits; with ResNet-50 on a CPU the backbone takes a
fifth less time.
"""

from __future__ import annotations

from stage1_detect.mmdet.library import MaskRCNN, ResNet, ResNeXt, fuse_conv_bn

__all__ = ["fuse_batch_norms"]


def fuse_batch_norms(model: MaskRCNN) -> None:
    """Folds them in place, for the backbones of which it is known that each normalisation follows
    the convolution registered before it; others stay as they are. The model must be in evaluation
    mode and have its weights."""
    if type(model.backbone) in (ResNet, ResNeXt):
        model.backbone = fuse_conv_bn(model.backbone)
