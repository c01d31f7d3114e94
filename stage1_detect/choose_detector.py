"""Choose a detector by its config and weights: one of MMDetection's models, or of torchvision's."""

import filecmp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orn.data_manifests.load import shipped_detectors
from orn.data_manifests.records import DetectorChoice
from orn.shared.data_files import file_digest, not_a_file
from orn.shared.download import cached_path
from orn.shared.errors import DetectorError

if TYPE_CHECKING:
    from orn.stage1_detect.mmdet.detector import MmdetDetector
    from orn.stage1_detect.torchvision_detector import TorchvisionDetector

DEFAULT_CONFIG = "mask-rcnn_r50_fpn_ms-poly-3x_coco"
"""MMDetection's Mask R-CNN with a ResNet-50 FPN backbone, trained for 36 epochs."""
REMEDY = "pass it with --checkpoint FILE (with make: CHECKPOINT=FILE)"


def choose_files(
    own: DetectorChoice,
    *,
    config: str | None,
    checkpoint: Path | None,
) -> tuple[str, Path | None]:
    """Return the detector's config and weights: the user's choice, else the manifest's, else the
    default.

    The weights are None if neither the user nor the manifest specifies a file. The manifest's
    weights are used only with its own config. A bundled detector is recognized by its name or by
    its weights, for any data set.

    Args:
        own: the manifest's choice.
        config: the user's config.
        checkpoint: the user's weights.
    """
    shipped = shipped_detectors()
    if config is not None and config in shipped:
        own, config = shipped[config], None
    if config is None and own.config is not None:
        config, checkpoint = own.config, checkpoint or own.checkpoint
    elif config is None:
        same = (
            str(one.config) for one in shipped.values() if _same_file(checkpoint, one.checkpoint)
        )
        config = next(same, DEFAULT_CONFIG)
    return config, checkpoint


def _same_file(path: Path | None, other: Path | None) -> bool:
    """Return whether both files exist and have the same content."""
    if path is None or other is None or not_a_file(path) or not_a_file(other):
        return False
    return filecmp.cmp(path, other, shallow=False)


def is_torchvision(config: str) -> bool:
    """Return whether a config names a network of torchvision."""
    return config.startswith("torchvision/")


def load_chosen(
    device: str, *, config: str, **settings: Any
) -> "MmdetDetector | TorchvisionDetector":
    """Load a detector; for arguments, see `orn.stage1_detect.mmdet.detector.load_detector`."""
    if is_torchvision(config):
        from orn.stage1_detect import torchvision_detector

        return torchvision_detector.load_detector(device, config=config, **settings)
    from orn.stage1_detect.mmdet.detector import load_detector

    return load_detector(device, config=config, **settings)


def known_settings(config: str, checkpoint: Path | None, **settings: Any) -> dict[str, Any]:
    """Return the fields of a detector's entry that are known before its weights are downloaded.

    Args:
        config: name or file of the config.
        checkpoint: the weights; None for the published ones.
        settings: `score_threshold`, `precision` and `batch_size`.
    """
    known: dict[str, Any]
    if is_torchvision(config):
        from orn.stage1_detect import torchvision_detector

        known = torchvision_detector.known_settings(config, **settings)
    else:
        from orn.stage1_detect.mmdet import detector
        from orn.stage1_detect.mmdet.model import read_config

        known = detector.known_settings(read_config(config), **settings)
    if checkpoint is None:
        checkpoint, _ = weights_to_fetch(config)
    if checkpoint is not None:
        known["checkpoint_digest"] = file_digest(checkpoint, error=DetectorError)
    return known


def weights_to_fetch(config: str) -> tuple[Path | None, str | None]:
    """Return the path of a config's published weights in the cache, or the URL to download.

    Raises:
        DetectorError: if the URL is unknown.
    """
    if is_torchvision(config):
        from orn.stage1_detect.torchvision_detector import published_weights

        url = published_weights(config).url
    else:
        from orn.stage1_detect.mmdet.zoo import find_config, published_url

        url = published_url(find_config(config), remedy=REMEDY)
    path = cached_path(url)
    return (path, None) if path.exists() else (None, url)


def name_of(config: str) -> str:
    """Return the name of a config, which may be a file.

    Raises:
        DetectorError: if there is no such config.
    """
    if is_torchvision(config):
        return config
    from orn.stage1_detect.mmdet.zoo import find_config

    return find_config(config).stem
