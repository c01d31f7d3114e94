"""What a network is made of: one frozen record, checked when it is made.

Defaults are the paper's sizes (Baradel et al. 2018, section 4), with its ablation backbone
ResNet-18.
"""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from shared.errors import ConfigError

__all__ = ["Backbone", "Kernel", "NetworkConfig"]

Backbone = Literal["resnet18", "resnet50"]
Kernel = Literal["2d", "2.5d"]

_STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5")
_FEATURES_PER_BASE_WIDTH: dict[str, int] = {"resnet18": 8, "resnet50": 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Sizes and choices of one `ObjectVideoNetwork`."""

    num_activities: int
    """A, the number of activity classes."""
    backbone: Backbone = "resnet18"
    """ResNet-18 (basic blocks) or ResNet-50 (bottlenecks)."""
    base_width: int = 64
    """Channels of conv1 and conv2; 64 fits ImageNet weights, less makes a small network."""
    kernels: tuple[Kernel, ...] = ("2.5d", "2d", "2d", "2d", "2.5d")
    """Kind of the k x k kernels (k > 1) in conv1 .. conv5; `2.5d` is 1 x k x k, then 3 x 1 x 1."""
    conv5_object_stride: int = 1
    """Stride of the object head's conv5, 1 or 2; the activity head's is 2."""
    num_detector_classes: int = 80
    """S, classes of the detector without background; a class vector has S + 1 numbers."""
    background_object: bool = True
    """Whether the loader adds to each frame one object that is the complement of its masks."""
    mask_size: int = 28
    """Height and width in cells of the masks that the mask encoder reads."""
    mask_features: int = 100
    """Width of the hidden layer and of the output of the mask encoder (eq. 7)."""
    relation_width: int = 512
    """Width of each of the three layers of the pair function h (eq. 4)."""
    reasoning_state: int = 256
    """Width of the recurrent object reasoning state r (eq. 5)."""
    activity_state: int = 512
    """Width of the activity head's recurrent state s (eq. 9)."""
    normalise_relations: bool = False
    """Whether g_t goes through a LayerNorm before the recurrence; not in the paper."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field, what it may be and what it was."""
        if self.backbone not in get_args(Backbone):
            raise _bad("backbone", "one of " + ", ".join(get_args(Backbone)), self.backbone)
        if len(self.kernels) != len(_STAGES) or not set(self.kernels) <= set(get_args(Kernel)):
            wanted = f"{len(_STAGES)} of {', '.join(get_args(Kernel))}, for {', '.join(_STAGES)}"
            raise _bad("kernels", wanted, self.kernels)
        if self.conv5_object_stride not in (1, 2):
            raise _bad("conv5_object_stride", "1 or 2", self.conv5_object_stride)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and (not isinstance(value, int) or value < 1):
                raise _bad(field.name, "a whole number of at least 1", value)

    @property
    def feature_width(self) -> int:
        """D, channels of the feature maps U and V; 512 and 2048 for the backbones at width 64."""
        return self.base_width * _FEATURES_PER_BASE_WIDTH[self.backbone]

    @property
    def class_width(self) -> int:
        """S + 1, the length of a class vector c."""
        return self.num_detector_classes + 1

    @property
    def object_width(self) -> int:
        """Length of an object vector o = [b u c] (eq. 8): 2229 in the paper."""
        return self.mask_features + self.feature_width + self.class_width


def _bad(field: str, wanted: str, found: object) -> ConfigError:
    return ConfigError(f"network setting {field}: wanted {wanted}, found {found!r}")
