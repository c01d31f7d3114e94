"""The networks whose maps the heads read, by name: image networks of timm and video networks of
torchvision."""

from pathlib import Path

from orn.stage2_train.model.image_backbone import (
    PACKAGED,
    ImageBackbone,
    image_map_shape,
    load_image_backbone,
    packaged_file,
    published_image_size,
)
from orn.stage2_train.model.tensor_files import tensors_digest
from orn.stage2_train.model.video_backbone import (
    VideoBackbone,
    load_video_backbone,
    published_video_size,
    video_map_shape,
    video_weights_to_fetch,
)
from orn.stage2_train.settings.model_config import TIMM, WINDOWS

MapBackbone = ImageBackbone | VideoBackbone
"""A network that computes maps of frames."""


def build_backbone(backbone: str, *, trains: bool = False) -> MapBackbone:
    """Build a network with random weights.

    Args:
        backbone: `timm/NAME` or `torchvision/NAME`.
        trains: whether it is trained, which a video network is not.

    Raises:
        ConfigError: if there is no such network.
    """
    if backbone in WINDOWS:
        return VideoBackbone(backbone)
    return ImageBackbone(backbone, trains=trains)


def load_backbone(backbone: str, *, file: Path | None = None) -> MapBackbone:
    """Return a frozen network with its published weights, which may be downloaded, or with those in
    a file, a state dict of the whole network.

    Raises:
        CheckpointError: if the weights are missing, cannot be downloaded or do not match.
        ConfigError: if there is no such network.
    """
    if backbone in WINDOWS:
        return load_video_backbone(backbone, file=file)
    return load_image_backbone(backbone, file=file)


def map_shape(backbone: str, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (C, h, w) of the maps of frames with `size` (height, width), without weights.

    Raises:
        ConfigError: if there is no such network, or it cannot process the size; reports one that it
            can.
    """
    of_kind = video_map_shape if backbone in WINDOWS else image_map_shape
    return of_kind(backbone, size)


def published_size(backbone: str) -> tuple[int, int]:
    """Return the (height, width) of the frames with which a network was trained.

    Raises:
        ConfigError: if there is no such network.
    """
    of_kind = published_video_size if backbone in WINDOWS else published_image_size
    return of_kind(backbone)


def weights_to_fetch(backbone: str) -> str | None:
    """Return what is downloaded for the published weights, unless they are known to be here."""
    if backbone in WINDOWS:
        return video_weights_to_fetch(backbone)
    if backbone == f"{TIMM}{PACKAGED}" and packaged_file():
        return None
    return f"{backbone} from timm's hub, unless downloaded before"


def backbone_digest(backbone: MapBackbone) -> str:
    """Return the digest, `sha256:...`, of a backbone's weights, wherever they come from."""
    tensors = {
        name: tensor.cpu().contiguous() for name, tensor in backbone.network.state_dict().items()
    }
    return f"sha256:{tensors_digest(tensors, {})}"
